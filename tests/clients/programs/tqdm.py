import io
import threading
import time

import tqdm
from tqdm.contrib.concurrent import thread_map

tqdm.tqdm.monitor_interval = 0.05
shown = io.StringIO()
for _ in tqdm.tqdm(range(5), file=shown, miniters=1):
    time.sleep(0.05)
assert "5/5" in shown.getvalue(), shown.getvalue()
assert "tqdm_monitor" in [thread.name for thread in threading.enumerate()]
assert thread_map(lambda n: n * 2, range(20), file=shown, max_workers=4) == list(range(0, 40, 2))
