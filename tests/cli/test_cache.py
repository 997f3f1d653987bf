import asyncio
import json

from headworks.cli import main
from headworks.response_cache import CACHE_FILE, SqliteStore


def test_answers_in_the_file_are_counted_and_removed(tmp_path, capsys):
    (tmp_path / "headworks.yaml").write_text("providers: {sim: {kind: simulator}}\n")
    config = ["--config", str(tmp_path / "headworks.yaml")]

    async def fill():
        store = SqliteStore(tmp_path / ".headworks" / CACHE_FILE, 1 << 20)
        await store.put(b"k" * 32, "faq", b"sealed", 60)
        await store.put(b"l" * 32, "triage", b"sealed", 60)
        await store.close()

    def say(*words):
        assert main(["cache", *words, *config]) == 0
        return capsys.readouterr()

    assert say("stats").out == ""
    asyncio.run(fill())
    assert [line.split()[:3] for line in say("stats").out.splitlines()[1:]] == [["faq", "1", "6"], ["triage", "1", "6"]]
    assert json.loads(say("stats", "--json").out.splitlines()[0])["workload"] == "faq"
    assert say("clear", "--workload", "faq").out == "removed 1 answers\n"
    assert json.loads(say("clear", "--json").out) == {"removed": 1}
    assert main(["audit", "search", "--what", "cache.cleared", "--json", *config]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(one.get("target"), one["detail"]) for one in told] == [(None, {"answers": 1}), ("faq", {"answers": 1})]
