import datetime
import os
import sys

import django
from django.conf import settings

# An app whose migrations Django writes.
os.makedirs("/tmp/site/shop/migrations")
for package in ("shop", "shop/migrations"):
    open(f"/tmp/site/{package}/__init__.py", "w").close()
sys.path.append("/tmp/site")
settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "/tmp/shop.sqlite3"}},
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "shop"],
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    USE_TZ=True,
    TIME_ZONE="Europe/Berlin",
)
django.setup()

from django.contrib.auth import authenticate
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import IntegrityError, models, transaction
from django.db.models import Count, F, Q, Sum
from django.db.models.functions import TruncMonth
from django.utils import timezone


class Customer(models.Model):
    name = models.CharField(max_length=50, unique=True)

    class Meta:
        app_label = "shop"


class Order(models.Model):
    customer = models.ForeignKey(Customer, models.CASCADE, related_name="orders")
    placed = models.DateTimeField()
    cents = models.IntegerField()
    details = models.JSONField(default=dict)

    class Meta:
        app_label = "shop"
        constraints = [models.CheckConstraint(condition=Q(cents__gt=0), name="positive")]


call_command("makemigrations", "shop", verbosity=0)
call_command("migrate", verbosity=0)

berlin = timezone.get_current_timezone()
ada, grace = (Customer.objects.create(name=name) for name in ("Ada", "Grace"))
Order.objects.bulk_create(
    Order(
        customer=ada if n % 3 else grace,
        placed=datetime.datetime(2026, 1 + n % 3, 5, 12, tzinfo=berlin),
        cents=100 * (n + 1),
        details={"colour": ("red", "blue")[n % 2], "parts": [n]},
    )
    for n in range(12)
)
totals = Customer.objects.annotate(n=Count("orders"), total=Sum("orders__cents")).order_by("name")
assert [(c.name, c.n, c.total) for c in totals] == [("Ada", 8, 5600), ("Grace", 4, 2200)]
months = (
    Order.objects.annotate(month=TruncMonth("placed"))
    .values("month")
    .annotate(total=Sum("cents"))
    .order_by("month")
)
assert [(row["month"].month, row["total"]) for row in months] == [(1, 2200), (2, 2600), (3, 3000)]
assert Order.objects.filter(details__colour="red").count() == 6
assert Order.objects.filter(Q(cents__lt=300) | Q(cents__gt=1000)).count() == 4
assert Order.objects.filter(customer__name__iexact="ADA").update(cents=F("cents") + 1) == 8
order = Order.objects.select_related("customer").earliest("placed", "id")
assert (order.customer.name, order.placed.astimezone(berlin).hour) == ("Grace", 12)
for broken in (
    lambda: Customer.objects.create(name="Ada"),
    lambda: Order.objects.create(customer=ada, placed=timezone.now(), cents=-1),
):
    try:
        with transaction.atomic():
            broken()
    except IntegrityError:
        pass
    else:
        raise AssertionError("a constraint was not checked")
try:
    with transaction.atomic():
        Order.objects.all().delete()
        raise KeyError
except KeyError:
    pass
assert Order.objects.count() == 12
assert ada.delete()[0] == 9

# Its password hashes take 1.2 million rounds of PBKDF2.
User.objects.create_user("ada", password="lovelace")
assert authenticate(username="ada", password="lovelace").username == "ada"
assert authenticate(username="ada", password="byron") is None
