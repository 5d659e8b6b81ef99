import threading
import time

from apscheduler.schedulers.background import BackgroundScheduler

runs, failures = [], []
scheduler = BackgroundScheduler(timezone="UTC")
scheduler.add_job(lambda: (time.sleep(0.01), runs.append(1)), "interval", seconds=0.1)
scheduler.add_job(lambda: 1 / 0, "date")
scheduler.add_listener(lambda event: failures.append(event.exception), mask=2**13)
scheduler.start()
for _ in range(10):
    time.sleep(0.1)
assert 2 <= len(runs) <= 10, runs
assert [type(failure) for failure in failures] == [ZeroDivisionError], failures
scheduler.shutdown()
done = len(runs)
time.sleep(0.3)
assert len(runs) == done
assert threading.active_count() == 1
