"""Recognize text in messages that addresses a language model instead of a person. Pure.

Such a message is no evidence: whoever planted it wants its words repeated. It is not shown to the model, and no
sentence of the model may cite it.
"""

import re

_INSTRUCTION = re.compile(
    r"\b(?:ignor\w*|disregard|forget|override)\b.{0,40}\b(?:instruction|prompt|rule|direction|guideline|context)s?\b"
    r"|\b(?:system|developer) (?:prompt|message|override)\b|\b(?:as|you are) an? (?:ai|language model"
    r"|assistant|chatbot)\b"
    r"|\b(?:ai|llm|language model|assistant|chatbot|bot)s?\b.{0,30}\b(?:must|should|answer|reply|respond|say"
    r"|state|write|output)\b"
    r"|\bwhen (?:asked|summari[sz]ing|answering)\b.{0,60}\b(?:say|answer|reply|state|claim|respond)\b"
    r"|\b(?:answer|respond|reply) (?:only |always )?(?:with|that)\b.{0,80}\b(?:approved|paid|free|refund\w*"
    r"|granted|confirmed)\b"
    r"|<\|?(?:system|im_start|im_end|assistant)\b|\[/?(?:inst|system)\]|^\s*#{2,}\s*(?:system|instruction)"
    r"|\b(?:ignorier\w*|vergiss|missachte\w*)\b.{0,50}\b(?:anweisung|anleitung|regel|vorgabe|prompt)\w*"
    r"|\b(?:ki|sprachmodell|assistent|chatbot)\b.{0,40}\b(?:muss|soll|antworte|schreib|sag|ausgib|gib)\w*"
    r"|\b(?:antworte|sage|schreibe) (?:immer|nur|stattdessen|dass|mit)\b"
    r"|(?:игнориру\w*|забудь\w*|пренебрег\w*|не учитывай\w*).{0,50}(?:инструкц|указан|правил|промпт)\w*"
    r"|(?:нейросет|языков\w+ модел|ассистент|чат-?бот|искусственн\w+ интеллект)\w*.{0,40}(?:должн|ответ|напиш"
    r"|скаж|сообщ)\w*"
    r"|(?:отвечай|ответь|скажи|напиши) (?:всегда|только|что)\b"
    r"|\b(?:ignora\w*|olvida\w*|descarta\w*)\b.{0,50}\b(?:instruccion|regla|indicacion|órden|orden|prompt)\w*"
    r"|\b(?:modelo de lenguaje|asistente|chatbot|ia)\b.{0,40}\b(?:debe|responde|contesta|escribe|di)\w*"
    r"|\b(?:responde|contesta|escribe|di) (?:siempre|solo|sólo|que)\b"
    r"|\b(?:ignore[zr]?|oublie[zr]?)\b.{0,50}\b(?:instruction|consigne|règle)s?\b"
    r"|\b(?:modèle de langage|assistant|chatbot|ia)\b.{0,40}\b(?:doi[st]|répond|écri|dis)\w*"
    r"|\b(?:réponds|répondez|écris|dis) (?:toujours|seulement|que)\b",
    re.IGNORECASE | re.MULTILINE,
)


def addresses_a_model(text: str) -> bool:
    """Return whether a text holds an instruction to a language model, in one of five languages."""
    return _INSTRUCTION.search(" ".join(text.split())) is not None or _INSTRUCTION.search(text) is not None
