import boto3
from boto3.dynamodb.conditions import Key
from botocore.exceptions import ClientError

session = boto3.Session(
    aws_access_key_id="key", aws_secret_access_key="secret", region_name="us-east-1"
)
endpoint = f"http://{HOST}:{PORT}"

s3 = session.resource("s3", endpoint_url=endpoint)
bucket = s3.create_bucket(Bucket="reports")
for month in range(1, 4):
    bucket.put_object(Key=f"2026/{month:02}.csv", Body=b"total\n%d\n" % (month * 100))
assert [item.key for item in bucket.objects.filter(Prefix="2026/")] == [
    "2026/01.csv",
    "2026/02.csv",
    "2026/03.csv",
]
assert s3.Object("reports", "2026/02.csv").get()["Body"].read() == b"total\n200\n"
# 9 MB are uploaded in two parts, by the thread pool of s3transfer.
large = bytes(range(256)) * 36864
with open("/tmp/large", "wb") as file:
    file.write(large)
bucket.upload_file("/tmp/large", "large")
assert '-2"' in s3.Object("reports", "large").e_tag
bucket.download_file("large", "/tmp/copy")
with open("/tmp/copy", "rb") as file:
    assert file.read() == large

dynamodb = session.resource("dynamodb", endpoint_url=endpoint)
table = dynamodb.create_table(
    TableName="visits",
    KeySchema=[
        {"AttributeName": "page", "KeyType": "HASH"},
        {"AttributeName": "day", "KeyType": "RANGE"},
    ],
    AttributeDefinitions=[
        {"AttributeName": "page", "AttributeType": "S"},
        {"AttributeName": "day", "AttributeType": "N"},
    ],
    BillingMode="PAY_PER_REQUEST",
)
table.wait_until_exists()
with table.batch_writer() as batch:
    for day in range(30):
        batch.put_item(Item={"page": "/docs", "day": day, "count": day * 3})
found = table.query(KeyConditionExpression=Key("page").eq("/docs") & Key("day").between(10, 12))
assert [int(item["count"]) for item in found["Items"]] == [30, 33, 36]

sqs = session.client("sqs", endpoint_url=endpoint)
queue = sqs.create_queue(QueueName="jobs")["QueueUrl"]
sqs.send_message(QueueUrl=queue, MessageBody="build é")
[message] = sqs.receive_message(QueueUrl=queue)["Messages"]
assert message["Body"] == "build é"

try:
    s3.Object("reports", "missing").load()
except ClientError as error:
    assert error.response["Error"]["Code"] == "404"
else:
    raise AssertionError("an object exists that was not put")
