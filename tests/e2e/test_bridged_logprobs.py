"""Log probabilities come through, whichever of OpenAI's two APIs the upstream speaks; else they are refused by name."""

import openai
import pytest

import headworks

CONFIG = """
version: 1
providers:
  only-chat: {kind: simulator, pace: 0, speaks: [chat]}
  only-responses: {kind: simulator, pace: 0, speaks: [responses]}
  only-messages: {kind: simulator, pace: 0, speaks: [messages]}
models:
  chat: only-chat/gpt-6-luna
  responses: only-responses/gpt-6-luna
  messages: only-messages/gpt-6-luna
"""
SAID = [{"role": "user", "content": "Hello there"}]


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    folder = tmp_path_factory.mktemp("logprobs")
    (folder / "headworks.yaml").write_text(CONFIG)
    with headworks.connect(folder / "headworks.yaml") as gateway:
        yield gateway.openai()


@pytest.mark.parametrize("model", ["chat", "responses"])
def test_they_come_through_every_translation(client, model):
    chat = client.chat.completions.create(model=model, messages=SAID, logprobs=True, top_logprobs=2)
    streamed = client.chat.completions.create(model=model, messages=SAID, logprobs=True, top_logprobs=2, stream=True)
    response = client.responses.create(
        model=model, input="Hello there", top_logprobs=2, include=["message.output_text.logprobs"], store=False
    )

    choice, part = chat.choices[0], response.output[0].content[0]
    pieces = [one for chunk in streamed for c in chunk.choices if c.logprobs for one in c.logprobs.content or ()]
    assert "".join(one.token for one in choice.logprobs.content) == choice.message.content
    assert [(one.token, one.logprob) for one in pieces] == [(one.token, one.logprob) for one in part.logprobs]
    assert [one.token for one in pieces] == [one.token for one in choice.logprobs.content]
    assert all(len(one.top_logprobs) == 2 for one in (*choice.logprobs.content, *part.logprobs, *pieces))


def test_who_cannot_have_them_is_told_so(client):
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(model="messages", messages=SAID, logprobs=True)

    assert refused.value.param == "logprobs"
