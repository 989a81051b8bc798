"""The columns of django-allauth's address model that an import reads."""

from django.conf import settings
from django.db import models


class EmailAddress(models.Model):
    # No constraint, because this table is created before the tables of the apps with migrations.
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, db_constraint=False)
    email = models.EmailField(max_length=254)
    verified = models.BooleanField(default=False)
    primary = models.BooleanField(default=False)
