"""How known attacks are worded. One entry a kind, for a text in lower case with single spaces.

Each is written for few false alarms rather than for many hits, in the syntax that RE2 and Python share, and bounded:
no part repeats without a limit, so that either engine takes time that is linear in the text.
"""

import msgspec

_WORDS = {
    "BEFORE": "(?:previous|prior|above|earlier|preceding|foregoing|original|initial|system)",
    "TOLD": "(?:instructions?|prompts?|directions?|guidelines?|directives?|guardrails|programming|system messages?)",
    "MODEL": r"(?:ai|a\.i\.|llms?|ai assistants?|assistants?|chatbots?|language models?|chatgpt|gpt|claude|gemini)",
    "SECRETS": "(?:conversation|chat history|system prompt|api keys?|passwords?|credentials|access tokens?|secrets?"
    "|personal data)",
}

_WRITTEN: tuple[tuple[str, tuple[str, ...], str], ...] = (
    (
        "override",
        (
            "ignore;disregard;forget;override;bypass;overlook",
            (
                "instruction;prompt;direction;guideline;directive;guardrails;programming;system message;rules;commands"
                ";restrictions;context"
            ),
        ),
        r"""
        \b(?:ignore|disregard|forget|override|bypass|overlook)\b[^.]{0,25}?
        \b(?:BEFORE|all (?:of )?your|your)\b[^.]{0,25}?
        \b(?:TOLD|rules|commands|restrictions|context)\b
        """,
    ),
    (
        "override",
        ("ignore;disregard;forget", "above;before;previously;earlier;so far;told;said"),
        r"""
        \b(?:ignore|disregard|forget) (?:everything|anything|all|all of that|what|whatever)\b[^.]{0,20}?
        \b(?:above|before|previously|earlier|so far|you (?:were|have been|are) told|said)\b
        """,
    ),
    (
        "override",
        (
            "ignor;vergiss;missachte;oublie;olvida;descarta;esqueça;desconsidere;dimentica",
            "anweisungen;vorgaben;instruc;instruç;consignes;istruzioni",
        ),
        r"""
        \b(?:ignoriere?n?|vergiss|missachte|ignore[zr]?|oublie[zr]?|ignora|olvida|descarta|esqueça|desconsidere
        |dimentica)\b[^.]{0,20}?
        (?:\b(?:all[en]{0,2}|bisherigen?|vorherigen?|vorigen|obigen|deiner?|ihrer?|toutes|tout|tes|vos|todas|todo|tus
        |sus|tuas|suas|tutte|tutti|tue|sue)\b[^.]{0,20}?
        (?:anweisungen|vorgaben|instructions|consignes|instrucciones|instruções|istruzioni)
        |(?:instructions|consignes|instrucciones|instruções|istruzioni)\b[^.]{0,10}?
        \b(?:pr[ée]c[ée]dent[esi]{1,2}|ant[ée]rieures|anteriores|pr[ée]vias|de antes|acima|arriba|ci-dessus
        |(?:do|del|du|di) (?:sistema|système)|que (?:te|le|você|vous|tu)))
        """,
    ),
    (
        "override",
        ("игнорируй;забудь", "инструкци;указани;правил"),
        "(?:игнорируй|игнорируйте|забудь|забудьте)[^.]{0,30}?(?:инструкци|указани|правил)",
    ),
    (
        "override",
        ("忽略;无视;忘记;指示;命令;プロンプト", "指令;指示;提示词;说明;無視;忘れ"),
        r"""
        (?:忽略|无视|忘记)[^。]{0,12}?(?:指令|指示|提示词|说明)
        |(?:指示|命令|プロンプト)[^。]{0,6}?(?:無視|忘れ)
        """,
    ),
    (
        "new_orders",
        ("new ;real ;actual ;updated ;only ", "instruction;task;objective;goal;directive;role;orders;system prompt"),
        r"""
        \byour (?:new|real|actual|updated|only) (?:instructions?|task|objective|goal|directives?|role) (?:is|are)\b
        |\b(?:my|these are|here are) (?:the |your )?(?:new|real|actual|updated) (?:instructions|directives|orders)\b
        |\bnew (?:system )?(?:instructions?|directives?|system prompt) ?:
        """,
    ),
    (
        "freed",
        (
            (
                "jailbroken;uncensored;unfiltered;unrestricted;do anything now;no longer bound;restrictions;limitations"
                ";filters;guidelines;constraints;boundaries"
            ),
            "you are;you're;you will be;act as;pretend;imagine;respond as;behave",
        ),
        r"""
        \b(?:you are|you're|you will be|act as|pretend|imagine|respond as|behave) [^.]{0,60}?
        \b(?:(?:jailbroken|uncensored|unfiltered|unrestricted)(?:[ ,]{1,2}(?:MODEL|and|or|but|with|amoral|unethical
        |mode|person|character|entity|being)\b|[,.;:!"')]|$)|do anything now|no longer bound
        |(?:without|has no|have no|no) (?:any )?(?:ethical |moral |content |safety )?
        (?:restrictions|limitations|filters|guidelines|constraints|boundaries))\b
        """,
    ),
    (
        "freed",
        (" mode;do anything now",),
        r"""
        \bdo anything now\b
        |\b(?:developer|jailbreak|dan|god|debug|unrestricted) mode (?:enabled|activated|unlocked|is (?:on|now))\b
        |\b(?:enable|activate|enter|switch to|simulate) (?:developer|jailbreak|dan|god|unrestricted) mode\b
        """,
    ),
    (
        "leak",
        ("your ", "prompt;system message;instructions"),
        r"""
        \b(?:reveal|show|print|repeat|output|display|disclose|leak|recite|tell me|give me|write down
        |what (?:is|are|was|were))\b[^.?]{0,30}?
        \byour (?:[a-z]{1,12} ){0,2}(?:system prompt|system message|prompt|instructions)\b
        """,
    ),
    (
        "leak",
        ("above", "repeat;print;output;copy;translate;encode;summari"),
        r"""
        \b(?:repeat|print|output|copy|translate|encode|summari[sz]e)\b[^.:]{0,30}?
        \b(?:everything|all (?:the )?(?:text|words)|the (?:text|words|sentences?))\b[^.]{0,15}?\babove\b
        """,
    ),
    (
        "secret_word",
        (
            "password;passphrase;secret key;secret word;access code",
            "reveal;tell me;give me;print;say;show me;what;spell;leak;output",
        ),
        r"""
        \b(?:reveal|tell me|give me|print|say|show me|what(?:'s| is)|spell|leak|output)\b[^.?]{0,20}?
        \bthe (?:secret )?(?:password|passphrase|secret key|secret word|access code)\b
        """,
    ),
    (
        "posed_turn",
        ("<|;<<sys>>;inst];[system];<system;</system;##",),
        r"""
        <\|(?:im_start|im_end|im_sep|system|user|assistant|start_header_id|eot_id|begin_of_text)\|>
        (?: ?[^ "'`,;:)\]|]|$)
        |<<sys>>|\[/?inst\]|\[system\](?:\(#|:)|</?system_?(?:prompt|message|instructions?)>
        |#{2,4} ?(?:system|instruction|new instructions?) ?:
        """,
    ),
    (
        "to_model",
        ("important;attention;urgent;note;message;instruction;notice;if you are a;before you",),
        r"""
        \b(?:important|attention|urgent|note|message|instructions?|notice)\b[^.]{0,25}?
        \b(?:to|for) (?:the |any |all |you, )?MODEL\b
        |\bif you are an? (?:large )?MODEL\b
        |\bbefore you (?:can )?(?:solve|answer|complete|do|proceed|continue)\b[^.]{0,60}?\bplease (?:do|first)\b
        """,
    ),
    (
        "concealed",
        ("do not ;don't ;never ;without ", "the user;the human;anyone"),
        r"""
        \b(?:do not|don't|never|without) (?:mention|mentioning|tell|telling|inform|informing|alert|alerting|notify
        |notifying|reveal|revealing)\b[^.]{0,25}?\b(?:the user|the human|to anyone|anyone)\b
        """,
    ),
    (
        "carried_out",
        (
            "conversation;chat history;system prompt;api key;password;credentials;access token;secret;personal data",
            "send;forward;post;mail;upload;exfiltrate;append;encode",
        ),
        r"""
        \b(?:send|forward|post|e-?mail|upload|exfiltrate|append|encode)\b[^.]{0,60}?\bSECRETS\b[^.]{0,60}?
        \b(?:to|at|into|as) [^ ]{0,20}?(?:https?:|www\.|@|url\b|query)
        """,
    ),
)


def _pattern(written: str) -> str:
    """One line of what is written on several, with the words that several share."""
    source = "".join(line.strip() for line in written.splitlines())
    for name, words in _WORDS.items():
        source = source.replace(name, words)
    return source


class Wording(msgspec.Struct, frozen=True):
    """One wording of attacks.

    Attributes:
        kind: what it is said to be. Several may be of one kind.
        needs: groups of words; every match holds a word of each group. Only speed depends on it.
        pattern: what a folded text is searched for.
    """

    kind: str
    needs: tuple[tuple[str, ...], ...]
    pattern: str


WORDINGS = tuple(
    Wording(kind, tuple(tuple(words.split(";")) for words in needs), _pattern(written))
    for kind, needs, written in _WRITTEN
)
"""All of them."""
