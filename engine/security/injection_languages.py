"""The main commands of hostile text in languages other than English; the same conventions as `injection_rules`.

Written from grammars and dictionaries, and measured only on the few examples there are: docs/hostile-content.md.
"""

# ruff: noqa: E501 (a pattern is easier to read on its own line than in pieces)
from __future__ import annotations

import re

from engine.security.injection_rules import Rule

_GAP = r"[^.!?\n\u3002\uff01\uff1f]{0,45}?"

# language: (stems, verbs that dismiss, what is dismissed)
_DISMISS = {
    "de": ("ignorier/missacht/vergiss/vergessen/beacht/befolg/verwerf/verwirf",
           r"(?:ignorier\w{0,4}|missacht\w{0,4}|vergiss|vergessen[ ]sie|verwirf|verwerfen[ ]sie|(?:beachte|befolge|folge)\w{0,2}[ ](?:sie[ ])?nicht)",
           r"(?:anweisung|anleitung|befehl|vorgabe|instruktion|prompt|systemnachricht|frage\b|alles[ ](?:vorherige|bisherige|davor|oben)|kontext\b)"),
    "fr": ("ignor/oublie/tiens pas/tenez pas/suis pas/suivez pas/neglige/fais abstraction/faites abstraction",
           r"(?:ignore[zr]?[ ](?:toutes|tous|tout|les|l'|la|le|vos|tes|ces|cette|votre)|oublie[zr]?\b|neglige[zr]?\b|ne[ ](?:tiens|tenez)[ ]pas[ ]compte|ne[ ](?:suis|suivez)[ ]pas|fai(?:s|tes)[ ]abstraction)",
           r"(?:instruction|consigne|directive|ordres?\b|regles\b|question\b|tout[ ]ce[ ]qui[ ]precede|contexte)"),
    "es": ("ignor/olvid/omit/haz caso/haga caso/descart",
           r"(?:ignor(?:a|e|ar|en|ad)|olvid(?:a|e|ar|en|ad)|omit(?:e|a|ir)|descart(?:a|e|ar)|no[ ]ha(?:gas|z|ga)[ ]caso)",
           r"(?:instruccion|indicacion|directri|ordenes\b|reglas\b|pregunta\b|todo[ ]lo[ ]anterior|contexto)"),
    "it": ("ignor/dimentic/trascur", r"(?:ignor(?:a|are|ate|i)|dimentic(?:a|are|ate|hi)|trascur(?:a|are|ate))",
           r"(?:istruzion|indicazion|direttiv|ordini\b|regole\b|domanda\b|tutto[ ]quanto)"),
    "pt": ("ignor/esquec/desconsider", r"(?:ignor(?:e|a|ar|em)|esquec(?:a|e|er)|desconsider(?:e|a|ar))",
           r"(?:instruc(?:oes|ao)|orientac|diretri|ordens\b|regras\b|pergunta\b|tudo[ ]o[ ]que)"),
    "nl": ("negeer/vergeet/negeren", r"(?:negeer|vergeet|negeren)", r"(?:instructie|aanwijzing|opdracht|regels\b|prompt|vraag\b)"),
    "pl": ("zignoruj/ignoruj/zapomnij/pomin", r"(?:z?ignoruj(?:cie)?|zapomnij(?:cie)?|pomin)", r"(?:instrukcj|polecen|wskazowk|zasad|pytani|prompt)"),
    "ru": ("\u0438\u0433\u043d\u043e\u0440/\u0437\u0430\u0431\u0443\u0434/\u0432\u043d\u0438\u043c\u0430\u043d/\u043f\u0440\u0435\u043d\u0435\u0431\u0440\u0435\u0433/\u043d\u0435 \u0441\u043b\u0435\u0434\u0443",
           r"(?:(?:\u043f\u0440\u043e)?\u0438\u0433\u043d\u043e\u0440\u0438\u0440\u0443\w{1,4}|\u0437\u0430\u0431\u0443\u0434\u044c\w{0,2}|\u043d\u0435[ ]\u043e\u0431\u0440\u0430\u0449\u0430\w{1,4}[ ]\u0432\u043d\u0438\u043c\u0430\u043d\u0438\u044f|\u043f\u0440\u0435\u043d\u0435\u0431\u0440\u0435\u0433\u0438\w{0,3}|\u043d\u0435[ ]\u0441\u043b\u0435\u0434\u0443\w{1,3})",
           r"(?:\u0438\u043d\u0441\u0442\u0440\u0443\u043a\u0446|\u0443\u043a\u0430\u0437\u0430\u043d|\u043a\u043e\u043c\u0430\u043d\u0434|\u043f\u0440\u0430\u0432\u0438\u043b|\u0432\u043e\u043f\u0440\u043e\u0441|\u0441\u043e\u043e\u0431\u0449\u0435\u043d|\u043f\u0440\u043e\u043c\u043f\u0442|\u0432\u0441[\u0435\u0451][ ]\u0432\u044b\u0448\u0435)"),
    "ar": ("\u062a\u062c\u0627\u0647\u0644/\u0627\u0646\u0633/\u0627\u0646\u0633\u0649/\u0644\u0627 \u062a\u062a\u0628\u0639",
           r"(?:\u062a\u062c\u0627\u0647\u0644\w{0,2}|\u0627\u0646\u0633\u0649?|\u0644\u0627[ ]\u062a\u062a\u0628\u0639)",
           r"(?:\u062a\u0639\u0644\u064a\u0645\u0627\u062a|\u0623\u0648\u0627\u0645\u0631|\u0627\u0648\u0627\u0645\u0631|\u0627\u0644\u0627\u0648\u0627\u0645\u0631|\u0627\u0644\u0623\u0648\u0627\u0645\u0631|\u0633\u0624\u0627\u0644|\u0633\u0648\u0627\u0644|\u0642\u0648\u0627\u0639\u062f|\u062a\u0648\u062c\u064a\u0647\u0627\u062a|\u0645\u0627[ ]\u0633\u0628\u0642)"),
    "tr": ("yoksay/yok say/gormezden/unut/dikkate alma", r"(?:talimat|komut|kural|soru|yonerge|istem)", r"(?:yok[ ]?say|gormezden[ ]gel|unut|dikkate[ ]alma)"),
    "zh": ("\u5ffd\u7565/\u65e0\u89c6/\u7121\u8996/\u5fd8\u8bb0/\u5fd8\u8a18/\u4e0d\u8981\u7406\u4f1a/\u4e0d\u8981\u9075/\u522b\u7ba1/\u6446\u8131",
           r"(?:\u5ffd\u7565|\u65e0\u89c6|\u7121\u8996|\u5fd8\u8bb0|\u5fd8\u8a18|\u4e0d\u8981\u7406\u4f1a|\u4e0d\u8981\u9075\u5b88|\u4e0d\u8981\u9075\u5faa|\u522b\u7ba1|\u6446\u8131)",
           r"(?:\u6307\u793a|\u6307\u4ee4|\u63d0\u793a|\u547d\u4ee4|\u89c4\u5219|\u898f\u5247|\u8bf4\u660e|\u8981\u6c42|\u95ee\u9898|\u554f\u984c|\u4e0a\u6587|\u5185\u5bb9)"),
    "ja": ("\u7121\u8996/\u5fd8\u308c/\u5f93\u308f\u306a\u3044", r"(?:\u6307\u793a|\u547d\u4ee4|\u30d7\u30ed\u30f3\u30d7\u30c8|\u30eb\u30fc\u30eb|\u8cea\u554f|\u6307\u4ee4|\u5185\u5bb9)", r"(?:\u7121\u8996|\u5fd8\u308c\u3066|\u5f93\u308f\u306a\u3044)"),
    "ko": ("\ubb34\uc2dc/\uc78a/\ub530\ub974\uc9c0", r"(?:\uc9c0\uc2dc|\uba85\ub839|\uc9c0\uce68|\ud504\ub86c\ud504\ud2b8|\uc9c8\ubb38|\uaddc\uce59)", r"(?:\ubb34\uc2dc|\uc78a\uc5b4|\ub530\ub974\uc9c0[ ]?\ub9c8)"),
    "hi": ("\u0905\u0928\u0926\u0947\u0916\u093e/\u0928\u091c\u0930\u0905\u0902\u0926\u093e\u091c/\u0928\u091c\u093c\u0930\u0905\u0902\u0926\u093e\u091c/\u092d\u0942\u0932 \u091c\u093e", r"(?:\u0928\u093f\u0930\u094d\u0926\u0947\u0936|\u0906\u0926\u0947\u0936|\u0938\u0935\u093e\u0932|\u092a\u094d\u0930\u0936\u094d\u0928|\u0928\u093f\u092f\u092e)",
           r"(?:\u0905\u0928\u0926\u0947\u0916\u093e|\u0928\u091c\u093c?\u0930\u0905\u0902\u0926\u093e\u091c|\u092d\u0942\u0932[ ]\u091c\u093e)"),
}  # fmt: skip

# (stems, a demand to answer with one thing only)
_ONLY = (
    ("antwort/schreib", r"\b(?:antworte\w{0,2}|schreibe?n?)[ ](?:sie[ ])?(?:ab[ ]jetzt[ ])?(?:nur|ausschliesslich|ausschlie\u00dflich|immer|stattdessen)\b|\bantworte[ ]mit\b"),
    ("repond/ecri", r"\b(?:repond[sez]{1,2}|ecri[svez]{1,4})[ ](?:uniquement|seulement|toujours|exclusivement|simplement|avec[ ]le[ ]mot)\b|\bne[ ]repond\w{1,3}[ ]que\b"),
    ("respond/contest/escrib", r"\b(?:responde[nr]?|responda[n]?|contest[ae]n?|escrib[ae]n?)[ ](?:solo|solamente|unicamente|siempre|exclusivamente|con[ ]la[ ]palabra)\b"),
    ("rispond/scriv", r"\b(?:rispond[iae]\w{0,3}|scriv[iae]\w{0,3})[ ](?:solo|soltanto|sempre|esclusivamente|unicamente)\b"),
    ("respond/escrev", r"\b(?:respond[ae]\w{0,2}|escrev[ae])[ ](?:apenas|somente|sempre)\b"),
    ("antwoord", r"\bantwoord[ ](?:alleen|uitsluitend|altijd)\b"),
    ("\u043e\u0442\u0432\u0435\u0442/\u043e\u0442\u0432\u0435\u0447/\u0432\u044b\u0432\u0435\u0434/\u043d\u0430\u043f\u0438\u0448", r"\b(?:\u043e\u0442\u0432\u0435\u0442\u044c\w{0,2}|\u043e\u0442\u0432\u0435\u0447\u0430\u0439\w{0,2}|\u0432\u044b\u0432\u0435\u0434\u0438\w{0,2}|\u043d\u0430\u043f\u0438\u0448\u0438\w{0,2})[ ](?:\u0442\u043e\u043b\u044c\u043a\u043e|\u0432\u0441\u0435\u0433\u0434\u0430|\u043b\u0438\u0448\u044c|\u0441\u043b\u043e\u0432\u043e\w)"),
    ("\u0623\u062c\u0628/\u0627\u062c\u0628/\u0631\u062f", r"(?:\u0623\u062c\u0628|\u0627\u062c\u0628|\u0631\u062f)[ ](?:\u0641\u0642\u0637|\u062f\u0627\u0626\u0645\u0627|\u0628\u0627\u0644\u0643\u0644\u0645\u0629|\u0628\u0643\u0644\u0645\u0629)"),
    ("\u53ea\u56de/\u53ea\u8f93/\u53ea\u8f38/\u4ec5\u56de/\u50c5\u56de/\u53ea\u80fd\u56de/\u53ea\u9700\u56de/\u5fc5\u987b\u56de", r"(?:\u53ea|\u4ec5|\u50c5|\u53ea\u80fd|\u53ea\u9700|\u5fc5\u987b)(?:\u56de\u7b54|\u56de\u590d|\u56de\u8986|\u8f93\u51fa|\u8f38\u51fa)"),
    ("\u3068\u3060\u3051", r"\u3068\u3060\u3051(?:\u7b54|\u56de\u7b54|\u51fa\u529b|\u8fd4\u4fe1)"),
    ("\ub77c\uace0\ub9cc", r"\ub77c\uace0\ub9cc[ ]?(?:\ub300\ub2f5|\ub2f5|\ub9d0)"),
)  # fmt: skip


def _rules() -> tuple[Rule, ...]:
    found = [
        Rule("override", 0.85, tuple(stems.split("/")), re.compile(f"(?:{verbs}){_GAP}(?:{what})", re.M | re.X))
        for stems, verbs, what in _DISMISS.values()
    ]
    found += [Rule("steering", 0.7, tuple(stems.split("/")), re.compile(pattern, re.M | re.X)) for stems, pattern in _ONLY]
    return tuple(found)


LANGUAGES = _rules()
