"""A correction to LocalStack's PutObject: it looks whether the key is free and stores the object under a lock of the
object's version, which no other put shares where the bucket is versioned, so that of two puts at once that both ask for a
free key (`If-None-Match: *`), both succeed. S3 lets one succeed:
https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
"""

import functools
import threading

from localstack.runtime import hooks


@hooks.on_infra_start()
def mates_conditional_put():
    from localstack.services.s3.provider import S3Provider

    put, lock = S3Provider.put_object, threading.Lock()

    @functools.wraps(put)
    def put_object(self, context, request):
        if not request.get("IfNoneMatch"):
            return put(self, context, request)
        with lock:
            return put(self, context, request)

    S3Provider.put_object = put_object
