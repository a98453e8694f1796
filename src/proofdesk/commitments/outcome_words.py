"""Words by which a later message shows what became of a commitment, in the languages of the extractor. Data only."""

import re


def _words(*alternatives: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)(?:{'|'.join(alternatives)})(?!\w)", re.IGNORECASE)


DELIVERED = _words(
    # English
    r"attached|enclosed|here (?:is|are|you go|it is)|(?:is|are|was|were|been|just|all|now) (?:\w+ )?(?:sent"
    r"|done|ready|paid|shipped|fixed|posted"
    r"|uploaded|live|booked|confirmed|delivered|transferred|refunded|in|on|up)|sent|done|paid"
    r"|shipped|fixed|booked|confirmed|delivered|went (?:out|through)",
    # German
    r"anbei|im anhang|angehängt|erledigt|fertig|bezahlt|überwiesen|verschickt|versandt|versendet"
    r"|geliefert|behoben|eingebaut|gedruckt|angewiesen"
    r"|abgeschickt|hochgeladen|hier ist|bestätigt|ist da|sind da|unterwegs",
    # Russian
    r"во вложении|прикрепля\w+|отправил[аи]?|отправлен[аоы]?|готов[аоы]?|сделал[аи]?|сделан[аоы]?"
    r"|оплатил[аи]?|оплачен[аоы]?|исправил[аи]?|исправлен[аоы]?"
    r"|загрузил[аи]?|выложил[аи]?|на сайте|прислал[аи]?|переделал[аи]?|запустил[аи]?|подписал[аи]?"
    r"|перев[её]л[аи]?|уехал[аи]?|держи(?:те)?|работает|приложил[аи]?",
    # Spanish
    r"adjunt\w+|aquí (?:está|tienes?|van?)|listo[s]?|lista[s]?|hecho|pagad[oa]s?|enviad[oa]s?"
    r"|subid[oa]s?|entregad[oa]s?|arreglad[oa]s?|firmad[oa]s?"
    r"|ya (?:está|están|quedó|quedaron|salió)|mandad[oa]s?|confirmad[oa]s?|reservad[oa]s?|apartad[oa]s?",
)
RECEIVED = _words(
    r"got (?:it|them|the|everything|your)|received|arrived|came (?:through|on|in|today)|collected"
    r"|picked (?:it |them )?up|thanks? for (?:the|sending|your)|landed",
    r"(?:ist|sind) (?:heute |gestern )?(?:da|angekommen|eingegangen)|erhalten|eingegangen|angekommen"
    r"|danke für|abgeholt|bekommen",
    r"получил[аи]?|приш[её]л|пришл[аио]|дош[её]л|дошл[аио]|спасибо за|забрал[аи]?|видим|доехал[аио]?"
    r"|приехал[аио]?|целая|привезли",
    r"recibid[oa]s?|recibimos|recibí|llegó|llegaron|gracias por|han llegado|ha llegado|recogid[oa]s?"
    r"|ya (?:lo|la|los|las) tengo|quedaron",
)
MISSING = _words(
    r"still (?:no|not|nothing|waiting|missing)|no (?:news|sign|word)|nothing yet|hasn't (?:\w+ )?(?:arrived"
    r"|shown up|come)|haven't (?:received|seen|heard)|not (?:here|there|arrived)"
    r"|you (?:said|promised)|where (?:is|are) (?:the|my|it)|any (?:news|joy|update)|expected (?:you"
    r"|it|them)|slipped|dropped it",
    r"noch (?:nicht|nichts|kein\w*)|immer noch|fehlt|fehlen|wo bleib\w+|hieß es|bis heute nichts"
    r"|vergessen|verschwitzt|hast g'?sagt|sollte schon",
    r"до сих пор|вс[её] ещ[её]|ещ[её] нет|пока нет|не приш[её]л|не пришл[аио]|тишина|обещал[аи]"
    r"|так и нет|не видим|забыл[аи]?|нет и нет|ничего",
    r"todav[ií]a no|aún no|no (?:ha|han) (?:llegado|salido)|sigue sin|no est[áa]|me dijo|nos dijo"
    r"|no lleg[oó]|se me (?:fue|pasó|olvidó|coló)|no ha salido",
)
WITHDRAWN = _words(
    r"cancel(?:led|s|ling)?|called off|take (?:that|it) back|withdraw\w*|shelved|no longer|won't happen"
    r"|isn't going to happen|off the table|forget it",
    r"storniert?\w*|abgesagt|absagen|sage ab|zurücknehmen|ziehe ich zurück|ziehe .* zurück|zurückrudern"
    r"|fällt aus|entfällt",
    r"отмен\w+|отозвать|отзыва\w+|не получится|не смогу|передумал[аи]?|отказыва\w+",
    r"cancel(?:o|amos|ad[oa]|ar|ó)|anul\w+|suspend\w+|ya no (?:va|hay|podemos)|no va a poder",
)
RESCHEDULED = _words(
    r"instead|postpone\w*|moved?|delay\w*|push(?:ed)?|sorry|apolog\w+|won't work|can't make"
    r"|any more|not going to happen",
    r"stattdessen|verschieb\w*|verschoben|verspät\w*|leider|entschuldig\w*|sorry|doch erst|tut mir leid",
    r"перен[её]с\w*|перенести|сдвин\w+|задерж\w*|вместо|простите|извините|к сожалению|виноват[аы]?|не усп\w+",
    r"en vez|en lugar|aplaz\w+|retras\w+|pospon\w*|perd[oó]n|disculp\w+|lo siento|se me|no llego|sin falta",
)
