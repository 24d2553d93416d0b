"""The built-in pages."""

from edgeward.core.pages import PAGES, REDIRECT_PAGE, page


def test_every_page_stands_alone():
    """No page needs another request, runs a script, or names the server; each says its status."""
    for status, body in PAGES.items():
        text = body.decode()
        assert str(status) in text
        for word in ("http:", "https:", "<script", "src=", "href=", "nginx", "granian", "edgeward", "url("):
            assert word not in text.lower()
        assert text.startswith("<!doctype html>")
        assert len(body) < 2000
    assert b"<!doctype html>" in REDIRECT_PAGE


def test_a_status_without_a_page_has_that_of_its_class():
    """So there is a page for everything."""
    assert page(418) == PAGES[400]
    assert page(599) == PAGES[500]
