"""Lists of a bucket's objects, page by page."""

from ministack.services import s3

from plugin.patching import around


@around(s3, "_list_object_versions")
def list_object_versions(list_versions, bucket, query):
    """After the version `null` of an object without versions comes the next object; the emulator repeats it for ever."""
    if s3._qp(query, "version-id-marker", "") == "null":
        query = {name: value for name, value in query.items() if name != "version-id-marker"}
    return list_versions(bucket, query)
