"""The columns of django-allauth's model of addresses that an import reads."""

from django.conf import settings
from django.db import models


class EmailAddress(models.Model):
    # No constraint: this table is created before those of the apps with migrations.
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, db_constraint=False)
    email = models.EmailField(max_length=254)
    verified = models.BooleanField(default=False)
    primary = models.BooleanField(default=False)
