"""Search in many scripts: a word is found in every spelling, and marked as it is written in the text."""

import json
import time
from collections import deque
from typing import Any

import pytest

from proofdesk.indexing import documents, tokenizer
from tests.support.search_desk import Desk

OTHERS = ("The parcel arrived today", "कली और कलम", "ฉันต้องการคืนเงิน", "שלום וברכה")


@pytest.mark.parametrize(
    ("text", "query", "marked"),
    [
        ("อยากรู้ราคาสินค้าค่ะ", "ราคา", "อยากรู้[[ราคา]]สินค้าค่ะ"),
        ("ดื่มน้ำเย็น", "น้ำเย็น", "ดื่ม[[น้ำเย็น]]"),
        ("ดื่มน้ำเย็น", "น้ำ", "ดื่ม[[น้ำ]]เย็น"),
        ("黒い猫がいます", "猫", "黒い[[猫]]がいます"),
        ("黒い 猫", "猫", "黒い [[猫]]"),
        ("ຂ້ອຍຢາກຮູ້ລາຄາສິນຄ້າ", "ລາຄາ", "ຂ້ອຍຢາກຮູ້[[ລາຄາ]]ສິນຄ້າ"),
        ("ខ្ញុំចង់ដឹងតម្លៃទំនិញ", "តម្លៃ", "ខ្ញុំចង់ដឹង[[តម្លៃ]]ទំនិញ"),
        ("ပစ္စည်းဈေးနှုန်းသိချင်ပါတယ်", "ဈေးနှုန်း", "ပစ္စည်း[[ဈေးနှုန်း]]သိချင်ပါတယ်"),
        ("我想知道这个价格是多少", "价格", "我想知道这个[[价格]]是多少"),
        ("商品の値段を教えてください", "値段", "商品の[[値段]]を教えてください"),
        ("佐々木さんの注文", "佐々木", "[[佐々木]]さんの注文"),
        ("ﾃﾞｰﾀを送って", "データ", "[[ﾃﾞｰﾀ]]を送って"),
        ("データを送って", "ﾃﾞｰﾀ", "[[データ]]を送って"),
        ("Ｏｒｄｅｒ １２３４ please", "order", "[[Ｏｒｄｅｒ]] １２３４ please"),
        ("Order 1234 please", "１２３４", "Order [[1234]] please"),
        ("請求書ＩＮＶ－２０２６－０４１７です", "INV-2026-0417", "請求書[[ＩＮＶ－２０２６－０４１７]]です"),
        ("وصل مُحَمَّد أمس", "محمد", "وصل [[مُحَمَّد]] أمس"),
        ("وصل محمد أمس", "مُحَمَّد", "وصل [[محمد]] أمس"),
        ("وصل محـــمد أمس", "محمد", "وصل [[محـــمد]] أمس"),
        ("وصل احمد", "أحمد", "وصل [[احمد]]"),
        ("רכב שָׁלוֹם", "שלום", "רכב [[שָׁלוֹם]]"),
        ("רכב שלום גדול", "שָׁלוֹם גדול", "רכב [[שלום]] [[גדול]]"),
        ("मुझे कला चाहिए", "कला", "मुझे [[कला]] चाहिए"),
        ("மாத செலவு அதிகம்", "செலவு", "மாத [[செலவு]] அதிகம்"),
        ("Ёлка пришла", "елка", "[[Ёлка]] пришла"),
        ("Елка пришла", "ёлка", "[[Елка]] пришла"),
        ("The street is called Hauptstraße", "hauptstrasse", "The street is called [[Hauptstraße]]"),
        ("The street is called Hauptstrasse", "HAUPTSTRAẞE", "The street is called [[Hauptstrasse]]"),
        ("My name is Müller", "Mueller", "My name is [[Müller]]"),
        ("My name is Müller", "Muller", "My name is [[Müller]]"),
        ("My name is Mueller", "Müller", "My name is [[Mueller]]"),
        ("Ich habe die Uebergabe nicht bekommen", "Übergabe", "Ich habe die [[Uebergabe]] nicht bekommen"),
        ("Ich habe die Grösse nicht bekommen", "Groesse", "Ich habe die [[Grösse]] nicht bekommen"),
        ("İstanbul is far", "istanbul", "[[İstanbul]] is far"),
        ("👍", "👍", "[[👍]]"),
        ("Thanks 👍🏽!", "👍", "Thanks [[👍🏽]]!"),
        ("❤️", "❤", "[[❤️]]"),
        ("🇹🇭", "🇹🇭", "[[🇹🇭]]"),
        ("رقم الطلب ٤٥٦٧٨", "45678", "رقم الطلب [[٤٥٦٧٨]]"),
    ],
)
async def test_word_is_found_in_every_spelling(desk: Desk, text: str, query: str, marked: str):
    for other in OTHERS:
        await desk.talk(other)
    conversation = await desk.talk(text)
    await desk.ready(embed=False)
    [hit] = [one for one in (await desk.ask(query, "text")).results if one.conversation_id == conversation]
    assert hit.snippet == marked
    assert hit.ranks["text"] == 1


@pytest.mark.parametrize(
    ("text", "query"), [("कला", "कली"), ("கடல்", "கடலை"), ("йод", "иод"), ("👍", "👎"), ("ราคา", "กา"), ("🇩🇪", "🇪🇩")]
)
async def test_word_with_other_letters_is_not_found(desk: Desk, text: str, query: str):
    await desk.talk(text)
    await desk.ready(embed=False)
    assert await desk.found(query) == []
    assert await desk.found(text) == [1]


CARDS = {
    "items": [
        {
            "title": "Acme turntable",
            "description": "Belt driven with a walnut plinth",
            "media_url": "https://example.com/secret.png",
            "actions": [{"type": "postback", "text": "Reserve", "payload": "UNREAD"}],
        }
    ]
}
CHOICES = {"items": [{"title": "Weekday courier", "value": "zone_seven"}]}
CHOSEN = CHOICES | {"submitted_values": [{"title": "Weekday courier", "value": "zone_seven"}]}
FIELDS = {
    "items": [{"name": "f1", "type": "select", "label": "Colour", "options": [{"label": "Magenta", "value": "mg"}]}],
    "submitted_values": [{"name": "f1", "value": "Vermilion"}],
}
ARTICLES = {"items": [{"title": "Cleaning a stylus", "description": "Use a brush", "link": "https://example.com/a"}]}


@pytest.mark.parametrize(
    ("content_type", "attributes", "query", "marked"),
    [
        ("cards", CARDS, "turntable", "Acme [[turntable]] Belt driven"),
        ("cards", CARDS, "walnut", "a [[walnut]] plinth"),
        ("cards", CARDS, "reserve", "[[Reserve]]"),
        ("input_select", CHOICES, "courier", "Weekday [[courier]]"),
        ("input_select", CHOSEN, "zone_seven", "[[zone_seven]]"),
        ("form", FIELDS, "magenta", "[[Magenta]] mg"),
        ("form", FIELDS, "vermilion", "[[Vermilion]]"),
        ("article", ARTICLES, "stylus", "Cleaning a [[stylus]]"),
    ],
)
async def test_texts_of_cards_are_found(desk: Desk, content_type: str, attributes: Any, query: str, marked: str):
    await desk.talk("Good morning")
    await desk.talk("> ")
    await desk.change(
        "UPDATE cw_messages SET content_type = %(t)s, content_attributes = %(a)s WHERE conversation_id = 2",
        t=content_type,
        a=json.dumps(attributes),
    )
    await desk.ready(embed=False)
    [hit] = (await desk.ask(query, "text")).results
    assert (hit.conversation_id, marked in hit.snippet) == (2, True), hit.snippet
    assert await desk.found("unread secret") == []


async def test_address_in_a_template_is_found(desk: Desk):
    await desk.talk("Good morning")
    await desk.talk("Get notified by e-mail")
    await desk.change(
        "UPDATE cw_messages SET content_type = 'input_email', message_type = 'template', content_attributes = %(a)s"
        " WHERE conversation_id = 2",
        a=json.dumps({"submitted_email": "rosalind@example.net", "items": [{"title": "notified"}]}),
    )
    await desk.ready(embed=False)
    assert (await desk.found("rosalind@example.net"))[0] == 2
    assert await desk.found("notified") == [], "what a template says is not what somebody said"


@pytest.mark.parametrize(
    "unit", ["ก", "ำ", "ก\u0e34", "ក្", "क", "का", "ا", "َ", "ـ", "ｱ", "Ａ", "٣", "🇩", "\ufe0f", "ü"]
)
def test_tokenizing_time_is_linear_in_every_script(unit: str):
    text = tokenizer.clean(unit * 150_000)
    began = time.process_time()
    document = documents.build_document([], [text])
    deque(tokenizer.locate_exact_tokens(text), maxlen=0)
    assert not list(tokenizer.find_words(text, {"x"}))
    assert time.process_time() - began < 5
    assert max((len(word) for _, word in document.stemmed), default=0) <= tokenizer.MAX_TERM_CHARS
