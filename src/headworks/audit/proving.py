"""Whether a proof of inclusion holds, with the signers' public keys and nothing else. Pure."""

from collections.abc import Sequence

from headworks.audit.keys import Signer
from headworks.audit.lines import Entry, Signed, read_line, signed_bytes
from headworks.audit.merkle import leaf_hash, proves_inclusion
from headworks.audit.reading import Proof


def proof_fault(proof: Proof, signers: Sequence[Signer]) -> str:
    """Why a proof does not hold; "" if it does."""
    line = proof.line.encode()
    if read_line(line, Entry) is None:
        return "its line is not that of an entry"
    signed = read_line(proof.checkpoint.encode(), Signed)
    if signed is None:
        return "its checkpoint is none"
    signer = next((one for one in signers if one.name == signed.checkpoint.signer), None)
    if signer is None or not signer.has_signed(*signed_bytes(signed)):
        return "its checkpoint was not signed by a known signer"
    if signed.checkpoint.size != proof.size:
        return "its checkpoint is about another number of leaves"
    try:
        path = [bytes.fromhex(step) for step in proof.path]
        root = bytes.fromhex(signed.checkpoint.root)
    except ValueError:
        return "its hashes are not hexadecimal"
    if not proves_inclusion(leaf_hash(line), proof.index, proof.size, path, root):
        return "its path does not lead from the entry to the root that was signed"
    return ""
