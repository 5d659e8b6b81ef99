import time
import uuid

import uuid_utils
import uuid_utils.compat

assert uuid_utils.uuid4() != uuid_utils.uuid4() and uuid_utils.uuid4().version == 4
now = time.time()
first, second = uuid_utils.uuid7(), uuid_utils.uuid7()
assert first < second and first.version == 7 and abs(first.timestamp / 1000 - now) < 60
name = uuid_utils.uuid5(uuid_utils.NAMESPACE_DNS, "python.org")
assert str(name) == str(uuid.uuid5(uuid.NAMESPACE_DNS, "python.org"))
assert isinstance(uuid_utils.compat.uuid7(), uuid.UUID)
assert uuid_utils.uuid1(node=1, clock_seq=2).node == 1
