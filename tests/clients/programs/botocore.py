import botocore.session

client = botocore.session.get_session().create_client(
    "s3",
    region_name="us-east-1",
    endpoint_url=f"{'https' if TLS else 'http'}://{HOST}:{PORT}",
    aws_access_key_id="key",
    aws_secret_access_key="secret",
)
assert "Buckets" in client.list_buckets()
# The snapshot is taken here.
bucket = f"bucket-{TLS}".lower()
client.create_bucket(Bucket=bucket)
body = bytes(range(256)) * 4096
client.put_object(Bucket=bucket, Key="folder/é", Body=body)
assert client.get_object(Bucket=bucket, Key="folder/é")["Body"].read() == body
listed = client.list_objects_v2(Bucket=bucket)["Contents"]
assert [(item["Key"], item["Size"]) for item in listed] == [("folder/é", len(body))]
try:
    client.get_object(Bucket=bucket, Key="nothing")
except client.exceptions.NoSuchKey:
    pass
else:
    raise AssertionError("found what is not there")
client.delete_object(Bucket=bucket, Key="folder/é")
client.delete_bucket(Bucket=bucket)
