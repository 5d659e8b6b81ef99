import kafka
import kafka.errors

try:
    kafka.KafkaProducer(bootstrap_servers=f"{HOST}:{PORT}", bootstrap_timeout_ms=2000)
except kafka.errors.KafkaError as error:
    assert HOST in str(error), error
else:
    raise AssertionError("reached a broker that is not there")
