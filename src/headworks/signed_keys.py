"""Keys that sign: what `keying` is for keys that are sent.

A request is signed when it is written, and AWS takes a signature for five minutes only. One that has waited for longer,
or that goes out with another key than it was written with, is signed anew when it is sent.
"""

from collections.abc import Callable, Sequence

from headworks.dialects import converse_answers, converse_requests, converse_streams, embed_invocations
from headworks.exchange import Upstream, UpstreamRequest
from headworks.keying import Key, KeyedUpstream
from headworks.providers import Provider
from headworks.providers.bedrock import BedrockProvider

LOADED = (converse_answers, converse_requests, converse_streams, embed_invocations)
"""What calls to Bedrock are translated with: loaded when a gateway is built, so that no call waits for it."""


class SignedUpstream(KeyedUpstream):
    """A `KeyedUpstream` whose keys sign. A block of it is a key to sign with, which is never sent.

    Arguments:
        provider: signs what it writes, with the first of `blocks`.
    """

    def __init__(
        self,
        name: str,
        upstream: Upstream,
        provider: Provider,
        blocks: Sequence[bytes],
        *,
        say: Callable[[str], None],
        refused: Callable[[], None],
    ) -> None:
        super().__init__(name, upstream, provider, blocks, say=say, refused=refused)
        assert isinstance(provider, BedrockProvider), "who asks has looked"
        self._signing = provider

    def take(self, blocks: Sequence[bytes]) -> bool:
        """Sign with these from now on, the newest first; see `KeyedUpstream`."""
        is_changed = super().take(blocks)
        if is_changed and blocks:
            self._signing.sign_with(blocks[0])
            self._rendered = blocks[0]
        return is_changed

    def _with_key(self, request: UpstreamRequest, key: Key) -> UpstreamRequest:
        if key.block == self._rendered and self._signing.is_fresh(request):
            return request
        return self._signing.signed_anew(request, key.block)


def upstream_for(provider: Provider) -> type[SignedUpstream] | None:
    """What its requests need where they are signed, even if the key never changes: they must be fresh when they are
    sent. None for a provider whose requests are not."""
    return SignedUpstream if isinstance(provider, BedrockProvider) and provider.is_signed else None
