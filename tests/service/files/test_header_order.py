"""The orders in which clients sort headers."""

from hypothesis import given
from hypothesis import strategies as st

from batchai_recipes.service.files.header_order import header_orders

names = st.text("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz", min_size=1)


@given(st.dictionaries(names, st.text()))
def test_every_order_holds_every_header(headers):
    """An order loses nothing and invents nothing, and there are at most three."""
    orders = header_orders(headers.items())

    assert 1 <= len(orders) <= 3
    assert sorted(headers) == [name for name, _ in orders[0]]
    for order in orders:
        assert sorted(headers.items()) == sorted(order)


def test_usual_headers_have_one_order():
    """The orders differ only where names mix marks and digits."""
    headers = [("x-ms-date", "d"), ("x-ms-version", "v"), ("x-ms-meta-kind", "k")]

    assert [sorted(headers)] == header_orders(headers)


def test_the_orders_of_the_three_generations_of_clients():
    """Golden: what azure-storage-file 2.1, and azure-storage-file-share 12.14 and 12.27 sign."""
    marks = [(f"x-ms-meta-{name}", "") for name in ("a_b", "ab", "a-b", "a1", "a.b", "a'b", "a-c")]

    found = [
        [name.removeprefix("x-ms-meta-") for name, _ in order] for order in header_orders(marks)
    ]

    assert found == [
        ["a'b", "a-b", "a-c", "a.b", "a1", "a_b", "ab"],
        ["a-b", "a-c", "a.b", "a_b", "a'b", "a1", "ab"],
        ["a.b", "a_b", "a1", "ab", "a'b", "a-b", "a-c"],
    ]
