"""The sentences that try to command a reader of documents, as bounded patterns: each is linear in the length of the text.

A pattern is tried only where one of its stems occurs, so ordinary text costs little more than the search for them. Texts are
in lower case, as `engine.security.visible` makes them; `S` marks where a clause may begin.
"""

# ruff: noqa: E501 (a pattern is easier to read on its own line than in pieces)
from __future__ import annotations

import re
from dataclasses import dataclass

REASONS = {
    "override": "tells the reader to ignore instructions, sources or the question",
    "role": "speaks as the system or to an assistant, or gives it another role",
    "steering": "dictates what an answer must say or how it must look",
    "exfiltration": "tries to have data sent or put into a link",
    "secrecy": "asks to keep something from the user",
    "disclosure": "asks for the instructions of the assistant",
    "authority": "claims an authority over assistants",
    "fake_citation": "tries to change what is cited, or imitates the marks of passages",
    "tool": "tries to have a tool or program called",
    "formula": "is a formula that fetches or runs something",
    "encoded": "hides instructions in an encoding",
    "hidden_characters": "holds characters that nobody sees",
    "flood": "repeats one demand over and over",
    "follow_up": "goes on with the demand before it",
}


@dataclass(frozen=True, slots=True)
class Rule:
    """A family of patterns. `stems` are what at least one of must occur; `weight` is how much one match says, 0..1."""

    kind: str
    weight: float
    stems: tuple[str, ...]
    pattern: re.Pattern[str]
    cased: bool = False


def _rule(kind: str, weight: float, stems: str, pattern: str, *, cased: bool = False) -> Rule:
    return Rule(kind, weight, tuple(stems.split("/")), re.compile(pattern, re.M | re.X), cased)


# Where a clause that commands may begin: a line, a sentence, a cell, after a name or a courtesy.
_S = r"""(?:^[^\w\n]{0,8}|[.!?:;,|>"'\])*>\u3002\uff01\u2014-][ ]?[*"'(\[#]{0,3}[ ]{0,2}|\b(?:and|then|please|must|should|shall|will|instead|also|now|only|just|always|simply|kindly)[ ])
(?:(?:please|now|also|then|just|kindly|instead|simply|always|never|immediately|you[ ](?:must|should|will|shall|are[ ]to))[ ,]{1,2}){0,3}"""
_GAP = r"[^.!?\n]{0,50}?"
_WIDE = r"(?:[^.!?\n]|\n(?!\n)){0,70}?"
_SAY = r"(?:answer|reply|respond|output|print|say|write|return|repeat|include|display|echo|append|state|mention|emit|cite|report|prefix|insert|add|translate)"
_ANSWER = r"(?:answers?|repl(?:y|ies)|responses?|outputs?|messages?|summar(?:y|ies)|completions?)"
_MACHINE = r"(?:a\.?i\.?s?|llms?|language[ ]models?|(?:ai|automated|virtual)[ ](?:assistants?|agents?|models?|systems?|readers?|analysis[ ]software)|assistants?|chatbots?|chat[ ]?gpt|gpt(?:-?\d)?|claude|gemini|copilot|bots?)"
_ORDERS = r"(?:instructions?|prompts?|directions?|directives?|commands?|guidelines?|rules|orders|constraints|programming|safeguards|training)"

RULES: tuple[Rule, ...] = (
    _rule("override", 0.85, "ignor/disregard/forget/overrid/bypass/neglect/discard/skip/follow/attention/obey/revoke",
          rf"""\b(?:ignor(?:e|ing)|disregard(?:ing)?|forget|overrid(?:e|ing)|bypass|neglect|discard|skip|revoke|(?:do[ ]not|don't|never|stop)[ ](?:follow|obey)(?:ing)?|pay[ ]no[ ]attention[ ]to)\s
          (?:(?:all|any|every|each|the|your|my|our|of|these|those|its|and|other|previous|prior|above|preceding|earlier|former|foregoing|existing|original|initial|old|past|system|safety|security|given|aforementioned|user'?s?)\s{{1,3}}){{1,6}}
          {_ORDERS}"""),
    _rule("override", 0.85, "ignor/disregard/forget/overrid/discard",
          r"""\b(?:ignore|disregard|forget|override|discard)\s(?:absolutely\s)?(?:everything|anything|all|what(?:ever)?)\s{1,3}(?:(?:that|which|you|was|were|is|has|have|been|i|we)\s{1,3}){0,4}(?:above|before|previous(?:ly)?|prior|earlier|said|told|written|read|know|learned|else)\b"""),
    _rule("override", 0.7, "ignor/disregard/forget/overrid/discard/skip",
          rf"""{_S}(?:ignore|disregard|forget|override|discard|skip)\s(?:(?:all|any|the|this|that|these|those|your|of|other|user'?s?|previous|prior|above|preceding|earlier|following|retrieved|original|actual|real)\s{{1,3}}){{0,5}}
          (?:questions?|query|context|passages?|documents?|sources?|conversation|system\s(?:prompt|message)|rows?\s\d|prompt|above|negative\s\w{{1,12}}|user)\b"""),
    _rule("override", 0.7, "priority/supersede/precedence/replace/new instruction/new task/updated instruction/real instruction",
          rf"""\b(?:these|this|my|the[ ]following)[ ](?:new[ ])?(?:instructions?|prompt|orders?|message)[ ](?:have|has|take|takes|supersedes?|override|overrides|replaces?)\b|{_S}(?:new|updated|real|actual|revised|urgent)[ ](?:system[ ])?(?:instructions?|tasks?|prompt|orders?|objective)[ ]?(?:for[ ][^\n:]{{1,30}})?:"""),
    _rule("role", 0.85, "im_start/im_end/[inst/[/inst/<<sys/endoftext/eot_id/header_id/<|system/<|user/<|assistant/start_of_turn/</s>/begin_of_text/begin system/end of system/system prompt]",
          r"""<\|?\s?(?:im_start|im_end|endoftext|begin_of_text|eot_id|start_header_id|end_header_id|system|user|assistant|start_of_turn|end_of_turn)\s?\|?>(?:[ ]?(?:system|user|assistant|model)\b)?|\[/?inst\]|<</?sys>>|<(?:start|end)_of_turn>|\[?(?:begin|end)(?:[ ]of)?[ ]system[ ](?:prompt|message|instructions?)\]?|\[system[ ]prompt\]"""),
    _rule("role", 0.75, "\"role\"/'role'/<system/<instruction/### instruction/### system/### assistant/###instruction/### new",
          r"""["']role["']\s{0,3}:\s{0,3}["'](?:system|developer|assistant|tool)["'](?:\s{0,6},\s{0,6}["']content["']\s{0,3}:\s{0,3}["'][^"\n]{0,300}["']?)?|</?(?:system|instructions?)(?:[ _-]?(?:prompt|message))?>|^\#{2,4}[ ]?(?:new[ ])?(?:instructions?|system(?:[ ](?:prompt|message))?|assistant|user[ ]input)[ ]?:?[ ]{0,3}$"""),
    _rule("role", 0.75, "assistant/system/ai/bot/llm/model/gpt/claude/gemini/software/copilot/developer/user",
          rf"""(?:^|[.!?:|>"'(\[*-][ ]?)\W{{0,3}}(?:(?:dear|hey|hello|hi|attention|to|for|note\sto|message\s(?:to|for)|instructions?\s(?:to|for)|important\sfor|notice\sto|memo\sto)\s)?(?:all\s|any\s|the\s|every\s)?(?:{_MACHINE}|system|developer|user)(?:\s(?:override|message|prompt|note|instruction|notice|alert|update)s?)?\s?[:,>\u2014-]{{1,2}}\s?["'*]{{0,2}}(?:(?:please|now|you\smust|always|from\snow\son|next|never)[ ,]{{1,2}}){{0,2}}
          (?:{_SAY}|ignore|disregard|forget|do[ ]not|don't|never|stop|start|begin|end|follow|obey|tell|send|reveal|show|use|you[ ](?:are|must|should|will)|act|pretend|call|click|visit|recommend|rate|give|make|set|enter|run|execute|cite|could[ ]you)\b"""),
    _rule("role", 0.7, "note to/message to/message for/instruction to/instructions to/instructions for/attention/if you are/if you're/reading this/processing this",
          rf"""\b(?:note|message|instructions?|attention|memo|notice|reminder)[ ](?:to|for)[ ](?:(?:all|any|the|every|our|your)[ ]){{0,2}}{_MACHINE}\b|\bif[ ]you(?:[ ]are|'re)[ ](?:an?[ ]|the[ ])?{_MACHINE}\b|\b{_MACHINE}[ ](?:that[ ](?:is|are)[ ]|who[ ](?:is|are)[ ])?(?:reading|processing|summari[sz]ing|parsing|indexing)[ ]this\b"""),
    _rule("role", 0.7, "you are now/from now on/pretend/act as/ mode/jailbreak/do anything now/role-play/roleplay/you are no longer/you are an ai/you are chatgpt/your new role/your new task/your task is",
          rf"""\byou[ ]are[ ]now[ ](?:in[ ]|an?[ ]|the[ ]|no[ ]longer[ ])?\w|\bfrom[ ]now[ ]on,?[ ](?:you[ ](?:are|will|must|should|shall)[ ](?:be|only|always|never|answer|act|respond|reply|ignore|follow|speak|behave|call|an?\b|the\b)|(?:all|every|each)[ ](?:your[ ])?{_ANSWER}\b|(?:always|only|never)[ ]{_SAY}|answer\b|reply\b|respond\b)|\b(?:pretend|act|behave|role-?play)[ ](?:to[ ]be|as[ ](?:if|though)|that|like)[ ]you(?:'re|r)?\b|\bpretend[ ]to[ ]be[ ](?:an?|the|my)\b|(?:^|[.!?:;]\s)(?:pretend|act|behave|role-?play)[ ](?:as[ ](?:an?|the|my)\b|to[ ]be)|\b(?:enter|enable|activate|switch[ ](?:in)?to|you[ ]are[ ]in)[ ](?:the[ ])?(?:developer|maintenance|debug|dan|god|admin|unrestricted|jailbreak|sudo|diagnostic|test)[ ]mode|\bdo[ ]anything[ ]now\b|\byou[ ]are[ ](?:no[ ]longer[ ]|not[ ])?(?:an?[ ])?(?:helpful[ ]|honest[ ])?{_MACHINE}\b|\byour[ ]new[ ](?:role|task|goal|objective|name|persona)[ ]is\b"""),
    _rule("role", 0.6, "assistant:/assistant: /user:/human:",
          r"""^[ ]{0,8}(?:assistant|ai|bot)[ ]?:[^\n]{0,300}\n{1,2}[ ]{0,8}(?:user|human)[ ]?:|^[ ]{0,8}(?:user|human)[ ]?:[ ]?(?:next|now|thanks|thank[ ]you|please|ok|great|there[ ]are|could[ ]you|can[ ]you|repeat|ignore|forget)\b"""),
    _rule("steering", 0.75, "answer/repl/respon/output/message/summar/completion",
          rf"""\b(?:each|every|all|any|your|the|this|subsequent|future|final)[ ](?:(?:your|of|future|subsequent|final|next|the|following)[ ]){{0,2}}{_ANSWER}[ ](?:(?:you[ ]give|to[ ][^.!?\n]{{1,30}})[ ])?(?:must|should|shall|has[ ]to|have[ ]to|needs?[ ]to|will[ ]always)[ ](?:always[ ]|only[ ]|also[ ]|now[ ])?(?:start|begin|end|finish|include|contain|say|mention|be[ ](?:only[ ]|exactly[ ]|prefixed|replaced|followed)|read|state|consist|cite|link)\b
          |{_S}(?:start|begin|end|finish|prefix|precede|preface|conclude|close|open|append)[ ](?:your|the|each|every|all|any)[ ](?:\w{{1,12}}[ ]){{0,2}}{_ANSWER}[ ](?:with|by|using)\b"""),
    _rule("steering", 0.7, "repl/respond/answer/output/print/say/write/return",
          rf"""{_S}(?:reply|respond|answer|output|print|say|write|return|report)[ ](?:(?:to[ ](?:every|all|any|each|the|this)[ ][^.!?\n]{{0,25}}?|every[ ]\w{{1,10}}[ ]|back[ ])[ ]?)?(?:only|just|solely|exclusively|exactly|nothing[ ](?:but|except)|always|instead|verbatim)\b
          |\b(?:reply|respond|answer)[ ](?:(?:\w{{1,12}}[ ]){{0,4}})?(?:with|using)[ ](?:only|just|exactly|nothing[ ]but|the[ ](?:single[ ]|exact[ ]|following[ ]|one[ ])?(?:word|words|phrase|text|string|code|sentence)|a[ ]single[ ]word|["'])"""),
    _rule("steering", 0.7, "repeat/respond/answer/say/print/tell/report/reply",
          rf"""{_S}(?:repeat|say|print|write|output|echo)[ ](?:(?:back|this|the[ ](?:following|phrase|word|text|sentence|string))[ ]?){{1,3}}(?:\w{{1,12}}[ ]){{0,3}}[:"'\u201c<]
          |\b(?:if|when|whenever)[ ](?:you[ ]are[ ]|anyone[ ]is[ ]|someone[ ])?(?:asked|asks|questioned|the[ ]user[ ]asks)\b[^.!?\n]{{0,80}}?,[ ]?(?:simply[ ]|just[ ]|always[ ]|only[ ])?(?:answer|respond|reply|say|report|state|tell)\b"""),
    _rule("steering", 0.6, "your /every repl/each repl/each answer/every answer",
          rf"""{_S}(?:add|include|integrate|insert|append|modify|enhance|alter|translate|render|encode|use|reverse|replace|provide|apply|rewrite|convert|invert|embed|weave|slip|incorporate|write|give|format|change|put|repeat|make|produce|generate|compose|mention|deliver|express|reply|respond)\b[^.!?\n]{{0,90}}?\b(?:in|to|into|for|of|as|with|from|at|within|on|by)?[ ]?(?:your|(?:each|every)(?:[ ]of[ ]your)?)[ ](?:\w{{1,10}}[ ])?(?:answers?|repl(?:y|ies)|responses?|outputs?)\b(?!\s(?:to\sthe\ssurvey|sheet|form|card|booklet|rate))"""),
    _rule("steering", 0.6, "repl/respond/answer/your ", rf"""{_S}(?:encode|translate|encrypt|reverse|render)[ ](?:all[ ]of[ ])?your[ ](?:message|text|words)\b|{_S}(?:reply|respond|answer)[ ](?:in[ ]reverse|using[ ](?:base[ ]?\d\d|emojis?|morse|rot[ ]?13|a[ ]cipher)|in[ ](?:base[ ]?\d\d|morse|rot[ ]?13|emojis?|pirate))\b"""),
    _rule("steering", 0.7, "",
          r"""\b(?:[Aa]nswer|ANSWER|[Rr]eply|REPLY|[Rr]espond|RESPOND|[Oo]utput|OUTPUT|[Pp]rint|PRINT|[Ss]ay|SAY|[Rr]epeat|REPEAT|[Ii]nclude|INCLUDE|Echo|[Aa]ppend)[ ](?:(?:only|with|the|word|words|code|phrase|text|token|string|just|exactly|always|instead|back|to|by|saying|it|also|marker|tag)[ ]){0,5}["'`*\u201c(\[<]{0,3}[A-Z][A-Z0-9]{1,15}(?:[-_][A-Z0-9]{2,20}){1,5}""", cased=True),
    _rule("exfiltration", 0.8, "send/post /transmit/forward/upload/exfiltrat/leak/email/submit/append",
          rf"""{_S}(?:send|post|transmit|forward|upload|exfiltrate|leak|e-?mail|submit|append|copy|encode)[ ]{_WIDE}\b(?:conversation|chat[ ](?:history|log)|system[ ]prompt|user'?s?[ ](?:questions?|data|quer(?:y|ies)|messages?|passwords?|name|input|e-?mail)|previous[ ](?:messages|questions)|api[ ]keys?|credentials|passwords?|secrets?|(?:other|all)[ ](?:\w{{1,12}}[ ])?(?:documents|passages)|context[ ]window){_WIDE}(?:\bto\b|\bat\b|https?:|\bin[ ]the[ ](?:url|link)|\bas[ ]a)"""),
    _rule("exfiltration", 0.75, "http",
          r"""!\[[^\]\n]{0,200}\]\(\s{0,3}<?https?://[^)\s]{1,400}?(?:[?&;](?:q|data|conv\w{0,12}|secret\w{0,3}|context|prompt|history|chat\w{0,8}|payload|leak|exfil)=|\{|%7b|<|\[)[^)\n]{0,300}\)?
          |https?://[^\s)\]"'<>]{1,300}[?&](?:\w{1,20}=)(?:\{|\[|<|%7b|\$|conversation|chat_?history|system_?prompt|secret|your_|the_|user_|context\b|question\b|base64)"""),
    _rule("exfiltration", 0.7, "link/image/url/markdown/click/visit/pixel",
          rf"""{_S}(?:end|finish|include|add|insert|embed|render|display|show|append|place|put|output|print|create|draw|load|fetch|begin|start)[ ]{_WIDE}\b(?:links?|images?|urls?|markdown|pixel|picture|button){_WIDE}(?:https?:|!?\[|www\.|<img|data:)
          |{_S}(?:print|say|output|tell[ ](?:the[ ]user|them)[ ]to)[ ](?:\w{{1,10}}[ ])?(?:visit|click|go[ ]to|open|log[ ]?in)\b
          |\b(?:tell|ask|urge|direct|instruct|advise)[ ]the[ ]users?[ ]to[ ](?:visit|click|go[ ]to|open|log[ ]?in|call|enter|provide|download|install|pay)\b"""),
    _rule("secrecy", 0.65, "tell/mention/reveal/inform/disclos/notify/silent/secretly/without/hide/user",
          rf"""\b(?:do[ ]not|don't|never|without)[ ](?:ever[ ])?(?:tell(?:ing)?|mention(?:ing)?|reveal(?:ing)?|inform(?:ing)?|disclos(?:e|ing)|notify(?:ing)?|show(?:ing)?|let(?:ting)?|alert(?:ing)?|warn(?:ing)?)[ ]{_GAP}(?:\b(?:the|any|this|your)[ ]users?\b|\bthe[ ]reader\b|\b(?:this|these|the)[ ](?:above[ ]|hidden[ ])?(?:instructions?|prompt|injection)\b|\bthat[ ]you(?:'ve|[ ]have|[ ]were|[ ]are|[ ]received)\b)
          |\b(?:hide|conceal|keep)[ ](?:this|these|it)[ ](?:\w{{1,14}}[ ]){{0,3}}(?:from|secret[ ]from)[ ](?:the[ ])?(?:user|reader|human)s?\b"""),
    _rule("disclosure", 0.7, "prompt/instruction/initial/text above/conversation/initialization/configuration/told before",
          rf"""\b(?:reveal|disclose|print|show(?:[ ]me)?|output|repeat|display|leak|dump|expose|share|list|recite|echo|quote|give[ ]me|tell[ ]me|see)[ ](?:me[ ])?{_GAP}\b(?:(?:your|their|its|the|this|my|hidden)[ ](?:\w{{1,12}}[ ]){{0,2}}(?:system[ ]?_?(?:prompts?|messages?|instructions?|configuration)|(?:initial|hidden|original|secret)[ ](?:instructions?|prompts?|configuration|context))|(?:your|their)[ ](?:full[ ]|complete[ ])?(?:instructions|prompt)\b|the[ ](?:text|words|content|conversation)[ ](?:above|so[ ]far)|(?:this|the)[ ](?:entire|whole|full)[ ]conversation|<system_prompt>|initiali[sz]ation[ ]string|system[ ]configuration)
          |\bwhat[ ](?:are|were|is)[ ]your[ ](?:\w{{1,12}}[ ]){{0,2}}(?:initial|system|original)[ ](?:instructions?|prompts?)|\bconsole\.log\(system"""),
    _rule("authority", 0.65, "assistant/model/chatbot/override/llm/ai /you ",
          rf"""\b(?:security|compliance|legal|it|privacy|safety|audit|admin(?:istration)?|management|support|governance)(?:[ ](?:and[ ])?\w{{1,12}})?[ ](?:team|department|office|officer|policy|board|staff)[ ](?:now[ ]|hereby[ ]|has[ ]|have[ ])?(?:require[sd]?|order(?:s|ed)|instruct(?:s|ed)|demand(?:s|ed)?|mandate[sd]?|direct(?:s|ed)|ask(?:s|ed)|authori[sz]e[sd]?|expects?){_GAP}\b(?:{_MACHINE}|you)[ ](?:to|must|should|shall)\b
          |\b(?:administrator|admin|developer|system|security|root|operator|safety)[ ]override\b(?=[ ]?[:!,.-])|\bas[ ](?:the|your|an?)[ ](?:administrator|admin|developer|system[ ]owner|creator|operator|ceo)\b,?[ ]i[ ](?:order|command|instruct|require|authori[sz]e|hereby)|\b(?:openai|anthropic|google|microsoft|meta)[ ](?:policy|staff|support|engineering)?[ ]?(?:requires?|instructs?|orders?|demands?){_GAP}\b(?:you|{_MACHINE})\b
          |\b(?:all|any|every)[ ]{_MACHINE}[ ](?:must|shall|should|have[ ]to|are[ ](?:required|instructed|ordered)[ ]to)\b"""),
    _rule("fake_citation", 0.7, "cite/citation/reference/attribut/passage",
          rf"""\bcite[ ](?:(?:the|only|this|always|instead|it|them|document|source|passage|page|as|number|no\.)[ ]){{0,4}}["'(]{{0,2}}\[\d{{1,4}}\]|\b(?:when|whenever|if)[ ]you[ ]cite\b|{_S}(?:cite|reference|attribute|credit|quote)[ ]{_GAP}\binstead[ ]of[ ](?:this|the|any|that|it)\b|</?passage[ ]\d{{1,4}}(?:[ ][0-9a-f]{{4,64}})?>|{_S}(?:do[ ]not|don't|never)[ ]cite[ ](?:this|the|any|other)\b"""),
    _rule("tool", 0.7, "tool_call/function_call/function_calls/<invoke/<tool/tool_use/call the/use the/invoke the/execute the/run the/tool",
          rf"""<(?:\|?)(?:tool_calls?|function_calls?|invoke|tool_use|tool)\b[^>\n]{{0,80}}>|["'](?:tool_calls|function_call|tool_use)["']\s{{0,3}}:\s{{0,3}}[\[{{"']|{_S}(?:call|invoke|use|trigger|execute)[ ](?:the[ ]|your[ ])?[`'"]?\w{{2,40}}(?:\(\))?[`'"]?[ ](?:tool|function|plugin|action)[ ]?(?:to|with|and|now|on)\b|{_S}(?:execute|run)[ ](?:the[ ]following|this)[ ](?:shell[ ]|bash[ ]|python[ ]|system[ ])?(?:command|code|script)[ ]?(?:now|immediately|before[ ]answering|on[ ]the[ ]user|and[ ](?:then[ ])?(?:reply|answer|return|output|send))"""),
    _rule("formula", 0.6, "=hyperlink/=webservice/=importxml/=importdata/=image(/=cmd/=dde/+cmd/@sum/=exec/=call(",
          r"""(?:^|\|[ ]?)["']?\s?[=+@-]\s?(?:hyperlink|webservice|importxml|importdata|importhtml|image|call|exec|dde|cmd\|)[^\n|]{0,200}"""),
    _rule("encoded", 0.7, "decod/decrypt/base64/rot13/decipher",
          rf"""{_S}(?:decode|decrypt|decipher|unscramble|de-?obfuscate)\b[^.!?\n]{{0,60}}\b(?:and|then)[ ](?:then[ ])?(?:follow|execute|obey|do|act|comply|carry|perform|answer|respond|run|output)\b"""),
)  # fmt: skip

FOLLOW_UP = re.compile(
    rf"""^\W{{0,4}}(?:(?:please|now|also|then|just|instead|simply|always|never|only|you[ ](?:must|should|will)|and|so|do[ ]not|don't|next|every|each|finally)[ ,]{{1,2}}){{0,3}}
    (?:{_SAY}|{_ANSWER}|tell|send|reveal|give|start|begin|end|use|pretend|act|be|focus|recommend|call|click|visit|your|you|this[ ]is|it[ ]is[ ](?:critical|important|urgent)|if[ ]you|failure
    |antwort|schreib|gib|sag|repond|ecri|dis\b|respond|contest|escrib|di\b|rispond|scriv|antwoord|schrijf|odpowied|yanit|cevap
    |\u0441\u043a\u0430\u0436|\u043e\u0442\u0432\u0435\u0442|\u043d\u0430\u043f\u0438\u0448|\u0432\u044b\u0432\u0435\u0434|\u043f\u0438\u0448|\u0642\u0644|\u0623\u062c\u0628|\u0627\u062c\u0628|\u0627\u0643\u062a\u0628|\u0631\u062f
    |\u53ea|\u8bf7|\u8acb|\u56de\u7b54|\u56de\u590d|\u8f93\u51fa|\u56de\u8986|\u8f38\u51fa|\u6b21\u306e|\u56de\u7b54|\u4ee3\u308f\u308a|\ub2e4\uc74c|\ub300\uc2e0|\uc624\uc9c1)""",
    re.X,
)
"""How a sentence begins that goes on with the demand of the one before it."""
DEMAND = re.compile(rf"\b(?:important|always|must|ignore|never|you|{_SAY})\b", re.X)
"""What a sentence has that is repeated in order to be obeyed."""
SECRETS = ("ignoreprevious", "ignoreall", "ignorethe", "disregard", "systemprompt", "previousinstructions", "onlyrespond", "answeronly", "replywith", "answerwith", "replyonly")  # fmt: skip
"""Words run together, as they appear once the marks between single letters are taken out."""
