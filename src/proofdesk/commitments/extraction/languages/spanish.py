"""Spanish: promises, what rules them out, and dates."""

import re

from proofdesk.commitments.extraction.grammar import (
    DateWords,
    Grammar,
    compile_ending,
    compile_start,
    compile_words,
    promise,
)

_WEEKDAYS = {
    "lunes": 0,
    "martes": 1,
    "mi[eé]rcoles": 2,
    "jueves": 3,
    "viernes": 4,
    "s[aá]bado": 5,
    "domingo": 6,
}
_MONTHS = {
    "enero|ene": 1,
    "febrero|feb": 2,
    "marzo|mar": 3,
    "abril|abr": 4,
    "mayo|may": 5,
    "junio|jun": 6,
    "julio|jul": 7,
    "agosto|ago": 8,
    "septiembre|setiembre|sept?": 9,
    "octubre|oct": 10,
    "noviembre|nov": 11,
    "diciembre|dic": 12,
}
_NUMBERS = {
    "una?|uno": 1,
    "dos|un par de": 2,
    "tres": 3,
    "cuatro": 4,
    "cinco": 5,
    "seis": 6,
    "siete": 7,
    "ocho": 8,
    "nueve": 9,
    "diez": 10,
    "doce": 12,
    "quince": 15,
}
_UNITS = {"d[ií]as?": 1, "semanas?": 7, "mes(?:es)?": 30, "horas?|minutos?|ratito|rato|media hora": 0}
_DAY_PART = "(?: (?:en|por|a) la (?:mañana|tarde|noche)| al? (?:mediod[ií]a|primera hora)| temprano| mismo)*"
_DATES = DateWords(
    weekdays=_WEEKDAYS,
    months=_MONTHS,
    numbers=_NUMBERS,
    units=_UNITS,
    patterns=(
        (
            r"(?:(?:el )?{weekday},? )?(?:el |d[ií]a )*{day}(?:\.º|º|ro)?(?: de)? {month}(?: (?:de|del) {year})?",
            "date",
            {},
        ),
        (r"(?:el )?{day}/(?P<month>1[0-2]|0?[1-9])(?:/{year})?", "date", {}),
        (r"(?:fin(?:al|ales)? de|[uú]ltimos d[ií]as de) {month}", "end of month", {}),
        (r"mediados de {month}", "middle of month", {}),
        (r"(?:principios|comienzos|inicios) de {month}", "start of month", {}),
        (r"(?:el )?{weekday},? (?:d[ií]a )?{day}(?![\d:])", "day", {}),
        (r"(?:el |del |al )(?:d[ií]a )?{day}(?![\d:%])(?! (?:de|por|horas|euros|personas))", "day", {}),
        (r"d[ií]a {day}(?![\d:%])", "day", {}),
        (r"fin(?:al|ales)? de (?:la )?(?:pr[oó]xima semana|semana que viene)", "next week", {}),
        (r"mediados de (?:la )?(?:pr[oó]xima semana|semana que viene)", "middle of next week", {}),
        (
            r"(?:principios|comienzos|inicios) de (?:la )?(?:pr[oó]xima semana|semana que viene)",
            "start of next week",
            {},
        ),
        (r"(?:la )?(?:pr[oó]xima semana|semana que viene|semana que entra|otra semana)", "next week", {}),
        (r"(?:el )?fin de semana|finde", "weekend", {}),
        (r"(?:(?:fin|final|finales) de )?esta (?:misma )?semana|final(?:es)? de (?:la )?semana", "this week", {}),
        (r"semana {number}", "week number", {}),
        (r"fin(?:al|ales)? (?:de mes|del mes)(?: que viene)?|este (?:mismo )?mes", "end of month", {}),
        (r"(?:el )?(?:pr[oó]ximo mes|mes que viene)", "end of month", {"number": 1}),
        (r"mediados de(?:l)? mes", "middle of month", {}),
        (r"fin(?:al|ales)? de año|fin del año", "end of year", {}),
        (r"(?:en|dentro de|en un plazo de) {number} d[ií]as (?:h[aá]biles|laborables)", "working days", {}),
        (r"(?:en|dentro de|en un plazo de|en menos de) {number} {unit}", "offset", {}),
        (r"(?:de )?(?:hoy|{weekday}) en ocho", "offset", {"number": 7, "unit": 1}),
        (
            rf"(?:el )?(?:pr[oó]ximo |mismo |mañana )?{{weekday}}(?: que viene| pr[oó]ximo)?(?:{_DAY_PART})",
            "weekday",
            {},
        ),
        (r"pasado mañana", "offset", {"number": 2, "unit": 1}),
        (rf"(?<!la )(?<!esta )mañana(?! {{weekday}})(?:{_DAY_PART})", "offset", {"number": 1, "unit": 1}),
        (
            rf"hoy(?:{_DAY_PART})|esta (?:misma )?(?:tarde|noche|mañana)|ahora mismo|ahorita(?: mismo)?"
            rf"|ese mismo d[ií]a|el mismo d[ií]a|ya mismo|de inmediato|enseguida",
            "offset",
            {"number": 0, "unit": 1},
        ),
        (
            r"ahora|ya|a las? \d{1,2}(?::\d\d)?|al? mediod[ií]a|en la (?:tarde|noche)",
            "offset",
            {"number": 0, "unit": 1, "weak": 1},
        ),
    ),
    deadline=compile_ending(
        r"(?:para|hasta|a m[aá]s tardar|como (?:muy tarde|m[aá]ximo)|no m[aá]s tarde de(?:l)?)(?: (?:el"
        r"|la|las))?"
    ),
    before=compile_ending(r"antes de(?:l| la| el)?"),
    weekends=frozenset({"fin de semana", "el fin de semana", "finde"}),
    any_date=re.compile(
        r"\d|lunes|martes|rcoles|jueves|viernes|bado|domingo|mañana|hoy|tarde|noche|ahora|ya|semana"
        r"|finde|mes|año|d[ií]a|hora|minuto|rat|inmediato|enseguida|mediados|fin|inici|princip|comienz",
        re.IGNORECASE,
    ),
)
_CLITIC = r"(?:(?:te|le|les|os|se|me|nos) )?(?:(?:lo|la|los|las) )?"
_STEMS = (
    r"mand|env[ií]|entreg|pas|pag|deposit|transfier|transferi|gir|consign|confirm|llam|avis"
    r"|sub|termin|acab|arregl|llev|prepar|revis|mir|cambi|cancel|reserv|apart"
    r"|separ|imprim|arranc|cierr|cerr|public|escrib|respond|contest|corrij|correg|instal|program"
    r"|repit|repet|devuelv|devolv|reembols|lleg|cumpl|dej|guard|aport|abon|ingres"
    r"|coloc|mont|cotiz|factur|complet|actualiz|activ|empiez|empez|recog|recoj|busc|compart"
    r"|propong|propon|traig|tra|pong|pon|hag|hac|veng|ven|dig|dec|doy|da|voy|va|salg|sal|encarg"
    r"|ocup"
    r"|asum|cubr|regal|descont|descuent|ajust|mov|muev|retir|renuev|renov|present|resuelv|resolv"
    r"|compr|ped|pid|consult|verific|comprob|comprueb|configur|habilit|cargamos|carg|consig"
    r"|hornead"
)
_PRESENT = rf"(?:{_STEMS})(?:o|oy|amos|emos|imos|y)?"
_THEM = (
    r"(?:tendrá[sn]?|tendréis|recibirá[sn]?|recibiréis|tiene[sn]?|tenéis|estará[n]?|quedará[n]?"
    r"|queda[n]?|sale[n]?|llega[n]?|llegará[n]?|saldrá[n]?|entregará\w*|estamos|está listo|quedamos)"
)

GRAMMAR = Grammar(
    name="spanish",
    dates=_DATES,
    promises=(
        promise(
            r"(?!podré|podremos|querré|trataré|intentaré|seré|sabré|habré|habremos|estaremos encantad)\w{2,}(?:aré"
            r"|eré|iré|dré|bré|rré|aremos|eremos|iremos|dremos|bremos)",
            0.8,
            by_speaker=True,
        ),
        promise(
            r"(?:voy|vamos) a (?!ver|intentar|tratar|pensar|poder)\w+[aei]r(?:lo|la|los|las|le|les|te"
            r"|os|se)*",
            0.8,
            by_speaker=True,
        ),
        promise(
            rf"(?:te|le|les|os|se)(?: (?:lo|la|los|las))? (?:{_STEMS})(?:o|oy|amos|emos|imos)(?! (?:el informe"
            rf"|la prueba) adjunt)",
            0.75,
            by_speaker=True,
        ),
        promise(rf"{_CLITIC}(?:{_STEMS})(?:o|oy|amos|emos|imos)", 0.75, "date", by_speaker=True),
        promise(
            r"(?:me encargo|nos encargamos|me ocupo|nos ocupamos|me comprometo|nos comprometemos|prometo"
            r"|prometemos|garantizo|garantizamos|lo prometo)",
            0.8,
            by_speaker=True,
        ),
        promise(
            r"(?:la diferencia|el costo|el coste|el env[ií]o|los gastos) (?:la|lo|los) (?:asum|pag|cubr)\w+",
            0.7,
            by_speaker=True,
        ),
        promise(
            r"(?:te|le|les|os)(?: (?:lo|la|los|las))? (?!parece|gusta|falta|queda bien|sirve|va bien"
            r"|adjunt)\w+(?:a|e|an|en|á|án|ará|erá)",
            0.7,
            "date",
        ),
        promise(rf"(?:ya )?{_CLITIC}{_THEM}", 0.65, "agent and date"),
        promise(r"(?:salen?|llegan?|sale|saldrán?|llegarán?|estar[eé] ah[ií])", 0.6, "date"),
        promise(r"(?:lo|los|la|las) espero", 0.6, "date"),
        promise(
            r"(?:contrato|pedido|entrega|prueba|todo) (?:firmad|entregad|terminad|list)[oa]s?", 0.65, "agent and date"
        ),
    ),
    blockers=compile_words(
        r"\w+r[ií]a(?:n|s|mos|is)?(?<!día)(?<!dia)(?<!días)(?<!galería)(?<!librería)(?<!panadería)(?<!mensajería)(?<!paquetería)(?<!asesoría)(?<!secretaría)(?<!taquería)(?<!gestoría)"
        r"|quizás?|tal vez|a lo mejor|probablemente"
        r"|posiblemente|seguramente|ojal[aá]|espero que|esperamos que|esperemos|creo|creemos|pienso"
        r"|intent\w+|trat(?:o|amos|aré|aremos) de|no|nunca|jam[aá]s"
        r"|tampoco|siempre|normalmente|generalmente|suel\w+|solemos|habitualmente|por lo general"
        r"|todos los|todas las|cada|ayer|pasad[oa](?! mañana)|dij\w+|puedo|podemos|puede[ns]?|podéis"
        r"|era|fue|estaba|hab[ií]a|hubiera\w*|fuera\w*|fuéramos|por favor|quisiera|si todo|es norma"
        r"|necesit\w+|quiero|queremos|quer\w+|as[ií] (?:es|funciona)|a ver|tal vez"
        r"|hacemos|recomendamos|depende|aún no|todav[ií]a no|ni"
    ),
    sentence_blockers=compile_words(r"si (?:me |te |nos |se )?\w+(?:ara|iera|ase|iese|áramos|iéramos|uera|uéramos)n?"),
    idioms=compile_words(
        r"te debo|le debo|lo siento|lo lamentamos|te cuento|le cuento|te comento|le comento|le deseamos"
        r"|te entiendo|si acaso|cualquier cosa|nos vemos|hasta (?:luego|pronto|mañana$)"
        r"|buen(?:os|as)? (?:d[ií]as?|tardes|noches|fin)|feliz|saludos?|quedamos a la orden|quedo a la espera"
        r"|te adjunto|le adjunto|adjunto|le comparto|te comparto|lo llamamos|duran?|vale"
    ),
    reports=compile_words(
        r"dicen?|dijo|dijeron|crees?|cree[n]?|asegura\w*|prometi\w+|promete[n]?|seg[uú]n|comenta[n]?"
        r"|comentó|pide[n]?|pregunta[n]?|escribi[oó]|jura|parece que|supone"
    ),
    openers=compile_start(
        r"(?:y |pero |o )?(?:yo|nosotros|él|ella|ellos|usted|ustedes)",
        r"pero|porque|as[ií] que|ya que|pues|aunque|si|cuando|en cuanto|que|donde|mientras|para que"
        r"|y si|y ya que|menos mal|entonces",
    ),
    conjunctions=re.compile(
        r"(?<!\w)(?:(y|pero)(?= (?:yo|nosotros|usted|si|las|los|la|el|salen?)\b)|(?=(?:si|porque"
        r"|aunque|en cuanto)\b))",
        re.IGNORECASE,
    ),
    continuations=compile_words(rf"y(?= {_CLITIC}(?:{_STEMS})(?:o|oy|amos|emos|imos|aré|eré|iré)(?!\w))"),
    conditions=compile_start(r"(?:y |pero |o )?(?:si|siempre que|en caso de|siempre y cuando)"),
    event_time=compile_words(
        r"en cuanto|cuando|tan pronto(?: como)?|una vez(?: que)?|apenas|despu[eé]s de(?:l| que| la"
        r"| recibir)|tras|al recibir|\w+ d[ií]as (?:después|desde|tras)"
    ),
    announcements=compile_words(
        r"(?:te|le|les|os) (?:aviso|avisamos|digo|decimos|cuento|escribo|confirmo|avisaré|diré)"
    ),
    finite=compile_words(
        r"yo|nosotros|usted|es|son|está|están|era|fue|hay|ha|han|hemos|he|tiene[ns]?|tengo|tenemos"
        r"|puede[ns]?|puedo|quiere[ns]?|necesit\w+|cuesta[n]?|falta[n]?"
        r"|hola|gracias|buenos|buenas|estimad[oa]|\w{3,}(?:aron|ieron|amos|emos|ado|ido|aba|ían?)"
        r"|llegó|pasó|firmó|sobre|entre|desde|adjunto|con"
    ),
    accepts_verb=lambda _kind, _word: True,
    drops_subject=True,
)
