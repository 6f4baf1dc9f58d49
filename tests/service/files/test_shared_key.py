"""What SharedKey signs."""

from hypothesis import given
from hypothesis import strategies as st

from batchai_recipes.service.files.call import Call
from batchai_recipes.service.files.shared_key import canonical_resource, strings_to_sign

parameters = st.lists(st.tuples(st.text("abc", min_size=1), st.text()))


def call_of(verb, target, headers):
    """Return a call as the web server would hand it over."""
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    return Call.of(verb, target.encode(), raw, "http", "127.0.0.1")


def test_the_string_of_a_put_range():
    """Golden: every slot in its place, the path raw, the query decoded and sorted."""
    call = call_of(
        "PUT",
        "/demo/data/p%2Fq/f.bin?timeout=30&comp=range",
        [
            ("host", "127.0.0.1"),
            ("x-ms-write", "update"),
            ("content-length", "512"),
            ("content-md5", "md5=="),
            ("range", "bytes=0-511"),
            ("date", "not signed beside x-ms-date"),
            ("x-ms-date", "Mon, 01 Jan 2024 00:00:00 GMT"),
            ("x-ms-version", "2019-02-02"),
        ],
    )

    expected = (
        "PUT\n\n\n512\nmd5==\n\n\n\n\n\n\nbytes=0-511\n"
        "x-ms-date:Mon, 01 Jan 2024 00:00:00 GMT\nx-ms-version:2019-02-02\nx-ms-write:update\n"
        "/demo/demo/data/p%2Fq/f.bin\ncomp:range\ntimeout:30"
    )
    assert [expected] == strings_to_sign(call, "demo")


def test_blank_values_and_junk_headers_are_signed():
    """A blank include and a bare x-ms-meta are part of the string, an empty length is not."""
    call = call_of(
        "GET",
        "/demo?include=&comp=list&prefix=a+b%2Bc",
        [("content-length", "0"), ("x-ms-meta", "{'K': 'v'}"), ("x-ms-meta-k", "é")],
    )

    assert strings_to_sign(call, "demo") == [
        "GET" + "\n" * 12 + "x-ms-meta:{'K': 'v'}\nx-ms-meta-k:é\n"
        "/demo/demo\ncomp:list\ninclude:\nprefix:a b+c"
    ]


def test_repeated_parameters_are_joined():
    """Values of one name are sorted and joined by commas."""
    assert (
        canonical_resource("demo", b"/x", [("c", ""), ("b", "2"), ("b", "1")])
        == "/demo/x\nb:1,2\nc:"
    )


@given(parameters, st.randoms())
def test_the_order_of_the_query_does_not_matter(pairs, random):
    """A SAS comes first in some clients' queries and last in others'."""
    shuffled = list(pairs)
    random.shuffle(shuffled)

    assert canonical_resource("a", b"/", pairs) == canonical_resource("a", b"/", shuffled)


@given(parameters, parameters)
def test_the_path_is_taken_as_it_is(one, other):
    """Nothing is decoded in the path, so two spellings of one path sign differently."""
    encoded = canonical_resource("a", b"/p%2Fq", one)
    plain = canonical_resource("a", b"/p/q", other)

    assert encoded.startswith("/a/p%2Fq")
    assert encoded != plain
