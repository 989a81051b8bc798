"""The scrypt hasher of Django 4.0 and later. If Debian's Django is older, a copy of it."""

import base64
import hashlib

from django.contrib.auth import hashers

if hasattr(hashers, "ScryptPasswordHasher"):
    ScryptPasswordHasher = hashers.ScryptPasswordHasher
else:

    class ScryptPasswordHasher(hashers.BasePasswordHasher):
        algorithm = "scrypt"
        work_factor, block_size, parallelism = 2**14, 8, 1

        def encode(self, password, salt):
            n, r, p = self.work_factor, self.block_size, self.parallelism
            key = hashlib.scrypt(password.encode(), salt=salt.encode(), n=n, r=r, p=p, maxmem=0, dklen=64)
            return "%s$%d$%s$%d$%d$%s" % (self.algorithm, n, salt, r, p, base64.b64encode(key).decode("ascii"))
