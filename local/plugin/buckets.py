"""Buckets: what S3 returns of them, and lists of their objects, page by page."""

from ministack.core.responses import get_region
from ministack.services import s3

from plugin.patching import around


@around(s3, "_list_object_versions")
def list_object_versions(list_versions, bucket, query):
    """After the version `null` of an object without versions comes the next object; the emulator repeats it for ever."""
    if s3._qp(query, "version-id-marker", "") == "null":
        query = {name: value for name, value in query.items() if name != "version-id-marker"}
    return list_versions(bucket, query)


@around(s3, "_create_bucket")
def create_bucket(create, name, *rest, **options):
    status, headers, body = create(name, *rest, **options)
    if status == 200:
        headers = headers | {"x-amz-bucket-arn": f"arn:aws:s3:::{name}"}
        if get_region() != "us-east-1":
            headers["Location"] = f"http://{name}.s3.amazonaws.com/"  # CreateBucket, in S3's API reference
    return status, headers, body


@around(s3, "_head_bucket")
def head_bucket(head, name):
    """`aws s3api head-bucket` prints a BucketArn of every bucket, though the reference knows it of few."""
    status, headers, body = head(name)
    return status, headers | ({"x-amz-bucket-arn": f"arn:aws:s3:::{name}"} if status == 200 else {}), body
