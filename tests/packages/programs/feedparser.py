import time

import feedparser

RSS = """<?xml version="1.0" encoding="utf-8"?>
<rss version="2.0" xmlns:dc="http://purl.org/dc/elements/1.1/"
     xmlns:content="http://purl.org/rss/1.0/modules/content/"
     xmlns:itunes="http://www.itunes.com/dtds/podcast-1.0.dtd">
<channel><title>News &amp; more</title><link>https://example.com/</link>
<item><title>First</title><link>/1</link><guid isPermaLink="false">a1</guid>
<pubDate>Tue, 01 Dec 2026 10:30:00 +0200</pubDate><dc:creator>Ada</dc:creator>
<category>maths</category><category>code</category>
<enclosure url="https://example.com/1.mp3" length="123" type="audio/mpeg"/>
<content:encoded>
<![CDATA[<p onclick="steal()">Hi <script>evil()</script><b>you</b></p>]]>
</content:encoded>
</item>
<item><title>Zweites Stück</title><description>plain</description></item>
</channel></rss>"""
feed = feedparser.parse(RSS)
assert not feed.bozo
assert (feed.version, feed.feed.title) == ("rss20", "News & more")
first, second = feed.entries
assert time.strftime("%Y-%m-%d %H:%M", first.published_parsed) == "2026-12-01 08:30"
assert (first.author, first.id) == ("Ada", "a1")
assert [tag.term for tag in first.tags] == ["maths", "code"]
assert first.enclosures[0].href == "https://example.com/1.mp3"
# What could run in a browser is removed.
assert first.content[0].value == "<p>Hi <b>you</b></p>"
assert (second.title, second.summary) == ("Zweites Stück", "plain")

ATOM = """<feed xmlns="http://www.w3.org/2005/Atom" xml:base="https://example.org/blog/">
<title type="html">A &lt;em&gt;blog&lt;/em&gt;</title><updated>2026-11-30T23:59:60Z</updated>
<entry><id>tag:example.org,2026:1</id><title>Post</title><link href="post.html"/>
<summary type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml"><a href="x">x</a></div></summary>
</entry></feed>"""
feed = feedparser.parse(ATOM)
assert (feed.version, feed.feed.title) == ("atom10", "A <em>blog</em>")
assert feed.entries[0].link == "https://example.org/blog/post.html"
assert 'href="https://example.org/blog/x"' in feed.entries[0].summary

# Bytes of another encoding, and XML that is not well-formed.
latin = RSS.replace("utf-8", "iso-8859-1").encode("iso-8859-1")
assert feedparser.parse(latin).entries[1].title == "Zweites Stück"
broken = feedparser.parse(RSS.replace("</channel>", ""))
assert broken.bozo
assert [entry.title for entry in broken.entries] == ["First", "Zweites Stück"]
