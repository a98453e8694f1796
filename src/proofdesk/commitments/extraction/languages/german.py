"""German: promises, what rules them out, and dates."""

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
    "montag|mo": 0,
    "dienstag|di": 1,
    "mittwoch|mi": 2,
    "donnerstag|do": 3,
    "freitag|fr": 4,
    "samstag|sonnabend|sa": 5,
    "sonntag|so": 6,
}
_MONTHS = {
    "jan(?:uar|ner)?": 1,
    "feb(?:ruar|er)?": 2,
    "märz|mrz": 3,
    "apr(?:il)?": 4,
    "mai": 5,
    "juni?": 6,
    "juli?": 7,
    "aug(?:ust)?": 8,
    "sept?(?:ember)?": 9,
    "okt(?:ober)?": 10,
    "nov(?:ember)?": 11,
    "dez(?:ember)?": 12,
}
_NUMBERS = {
    "ein(?:e[mnrs]?)?": 1,
    "zwei|paar": 2,
    "drei": 3,
    "vier": 4,
    "fünf": 5,
    "sechs": 6,
    "sieben": 7,
    "acht": 8,
    "neun": 9,
    "zehn": 10,
    "zwölf": 12,
    "vierzehn": 14,
}
_UNITS = {"tag(?:en?|es)?": 1, "wochen?": 7, "monat(?:en?|s)?": 30, "stunden?|minuten?|halben stunde": 0}
_DAY_PART = "(?: ?(?:früh|morgens?|vormittags?|mittags?|nachmittags?|abends?|nacht))?"
_DATES = DateWords(
    weekdays=_WEEKDAYS,
    months=_MONTHS,
    numbers=_NUMBERS,
    units=_UNITS,
    patterns=(
        (r"(?:{weekday},? )?(?:de[nmr] )?{day}\. ?{month}\.?(?: {year})?", "date", {}),
        (r"(?:{weekday},? )?(?:de[nmr] )?{day}\.(?P<month>1[0-2]|0?[1-9])\.(?:{year})?", "date", {}),
        (r"(?:ende|letzte[nr]? woche(?: im)?|letzten tage(?: im)?) {month}", "end of month", {}),
        (r"mitte {month}", "middle of month", {}),
        (r"anfang {month}", "start of month", {}),
        (r"{weekday},? (?:de[nmr] )?{day}\.(?!\d)", "day", {}),
        (r"(?:am|zum|den|dem|ab|vom|beim|der) {day}\.(?!\d)", "day", {}),
        (r"mitte (?:der )?(?:nächste[rn]|kommende[rn]) woche", "middle of next week", {}),
        (r"(?:anfang|beginn) (?:der )?(?:nächste[rn]|kommende[rn]) woche", "start of next week", {}),
        (r"(?:ende (?:der )?nächste[rn]|(?:der )?nächste[rn]?|kommende[rn]?) woche", "next week", {}),
        (r"(?:noch )?(?:ende )?(?:die(?:se|ser)|der) woche|wochenende?(?= ende)", "this week", {}),
        (r"(?:kw|kalenderwoche|woche) ?{number}", "week number", {}),
        (
            r"ende (?:des )?(?:nächsten|kommenden) monats|(?:im )?(?:nächsten|kommenden) monat",
            "end of month",
            {"number": 1},
        ),
        (r"(?:zum )?(?:ende (?:des|dieses) monats|monatsende)|(?:noch )?diesen monat", "end of month", {}),
        (r"mitte (?:des|dieses) monats", "middle of month", {}),
        (r"(?:ende (?:des|dieses) jahres|jahresende)", "end of year", {}),
        (r"(?:in|innerhalb(?: von)?|binnen) {number} (?:werk|arbeits)tagen?", "working days", {}),
        (r"(?:in|innerhalb(?: von)?|binnen|innerhalb der nächsten) {number} {unit}", "offset", {}),
        (r"{weekday} in einer woche", "weekday in a week", {}),
        (r"{weekday} in (?:zwei|2) wochen", "weekday in a week", {}),
        (r"(?:nächste[nrms]?) {weekday}", "weekday next week", {}),
        (r"{weekday} nächster woche", "weekday next week", {}),
        (r"(?:am )?wochenende", "weekend", {}),
        (r"übermorgen", "offset", {"number": 2, "unit": 1}),
        (rf"(?:am )?{{weekday}}(?:{_DAY_PART})", "weekday", {}),
        (rf"(?:gleich )?morgen{_DAY_PART}(?! (?:frau|herr|liebe|zusammen))", "offset", {"number": 1, "unit": 1}),
        (rf"(?:noch )?heute{_DAY_PART}(?: noch)?", "offset", {"number": 0, "unit": 1}),
        (r"sofort|gleich|jetzt|umgehend|feierabend|ende des tages", "offset", {"number": 0, "unit": 1, "weak": 1}),
        (
            r"um \d{1,2}(?::\d\d)?(?: uhr)?|\d{1,2}(?::\d\d)? uhr|mittag|abend|über mittag",
            "offset",
            {"number": 0, "unit": 1, "weak": 1},
        ),
    ),
    deadline=compile_ending("bis(?: (?:zum|spätestens|am|zu))*|spätestens(?: (?:bis|am|zum))*"),
    before=compile_ending("(?<!rechtzeitig )vor(?: de[mr])?"),
    weekends=frozenset({"wochenende"}),
    any_date=re.compile(
        r"\d|tag|woch|monat|heute|morgen|kw|mitte|anfang|ende|sofort|gleich|jetzt|umgehend|feierabend"
        r"|mittag|abend|jahr|stunde|minute",
        re.IGNORECASE,
    ),
)
_ACT = (
    r"(?:ab|an|auf|aus|ein|mit|nach|raus|zu|zurück|vorbei|weiter|über|ver|be|er|ent|um|vor|her)?(?:schick"
    r"|send|liefer|meld|bring|mach|prüf"
    r"|klär|kümmer|weis|zahl|statt|korrigier|änder|gänz|organisier|reservier|stell|druck|ruf"
    r"|hol|leg|reich|erledig|buch|stornier"
    r"|informier|nehm|setz|reparier|tausch|schreib|frag|sorg|einbar|stätig|schau|guck|pack|installier"
    r"|lad|arbeit|richt|halt|lass"
    r"|komm|geb|geh|fahr|start|beginn|lös|misch|näh|schneid|bau|plan|sprech|red|rechn|schenk"
    r"|wart|such|leit|teil|sag|wechsel|schalt)"
)
_PRESENT = rf"(?:{_ACT}(?:e|en|n|t?e)?|tu|tue|tun)(?:'s|'n|s)?"
_GET = r"(?:bekomm(?:en|st|t)|krieg(?:en|st|t)|erhalten|erhältst|haben|hast|habt|hören|hörst|wissen|weißt|sehen|siehst)"
_GOES = (
    r"(?:kommt|kommen|geht|gehen|folgt|folgen|liegt|liegen|steht|stehen|startet|beginnt|gibt'?s"
    r"|trifft|(?:ist|sind)(?= .*(?:fertig|bereit|bei ihnen|bei dir|machbar|online|zurück|abholbereit"
    r"|verfügbar|im (?:postfach|briefkasten|laden|haus))))"
)
_DOES = (
    r"(?:holt|schickt|bringt|liefert|reicht|macht|sieht|hält|meldet|ruft|überweist|erledigt"
    r"|prüft|kümmert|gibt|druckt|schreibt|baut|zahlt"
    r"|installiert|repariert|übernimmt|sendet|klärt|stellt|lädt|bearbeitet|korrigiert)"
)

GRAMMAR = Grammar(
    name="german",
    dates=_DATES,
    promises=(
        promise(r"(?:ich|wir|i|mia) (?:werde|werden|werd)|(?:werde|werden|werd) (?:ich|wir|i)", 0.85, by_speaker=True),
        promise(rf"(?:(?:ich|wir) (?:\w+ )?{_PRESENT}|{_PRESENT} (?:ich|wir|i|ma))", 0.75, "date", by_speaker=True),
        promise(
            rf"(?:(?:ich|wir) {_PRESENT}|{_PRESENT} (?:ich|wir)) (?:\w+ )?(?:ihnen|dir|euch|sie|es|das"
            rf"|mich|uns|selbst|selber)",
            0.7,
            by_speaker=True,
        ),
        promise(
            r"(?:ich|wir) (?:verspreche|versprechen|garantiere|garantieren|sage|sagen) (?:ihnen|dir"
            r"|euch|es|zu)",
            0.85,
        ),
        promise(
            r"(?:ich|wir) (?:bin|sind) .*(?:da|dort|bei ihnen|bei dir|fertig|vor ort)|^(?:bin"
            r"|sind) .*\bda",
            0.7,
            "date",
            by_speaker=True,
        ),
        promise(
            r"^(?:(?:dann|und|ok|gut|ja) )?(?:melde?|frage?|schicke?|überweise?|zahle?|bringe?|mache?"
            r"|hole?|kläre?|prüfe?|sende?|liefere?|organisiere?"
            r"|bestelle?|reserviere?|rufe?|komme?|gebe?|schreibe?|schaue?|gucke?|erledige?|drucke?)(?:'?s)?(?= "
            r"(?!mir|uns|lieber|sie|doch|bitte|einfach|mal|ihr|dich))",
            0.65,
            "date",
            by_speaker=True,
        ),
        promise(
            r"(?:^|^(?:und|dann) |ich |wir )(?:meld|melde|melden) (?:mich|uns|ich mich|wir uns)|(?:melde ich mich"
            r"|melden wir uns)",
            0.75,
            by_speaker=True,
        ),
        promise(r"(?:gebe|geb|geben) (?:ich |wir )?(?:ihnen|dir|euch)?(?: \w+){0,3} bescheid", 0.75, by_speaker=True),
        promise(rf"(?:{_GET} (?:sie|du|ihr|s')?|(?:sie|du|ihr) {_GET})", 0.75, "date"),
        promise(r"(?:wird|werden) (?:.* )?\w+(?:t|en)(?! wird)", 0.7, "date"),
        promise(rf"(?:{_GOES}|{_DOES})", 0.65, "agent and date"),
        promise(r"(?:kommt|kommen|geht|gehen|folgt|folgen)", 0.65, "date"),
        promise(
            rf"(?:er|sie|herr|frau|mein \w+|meine \w+|unser \w+|unsere \w+) .*{_DOES}|{_DOES} .*(?:herr"
            rf"|frau|mein|meine|unser|unsere) ",
            0.65,
            "date",
        ),
        promise(rf"{_DOES} (?:sie |es |das |die )?(?:ihnen|dir|euch)", 0.7, "date"),
    ),
    blockers=compile_words(
        r"könnte\w*|würde?\w*|sollte\w*|müsste\w*|dürfte\w*|möchte\w*|hätt\w*|wäre\w*|gäbe|vielleicht"
        r"|eventuell|evtl|wahrscheinlich|vermutlich"
        r"|voraussichtlich|hoffentlich|hoff\w*|wohl|angeblich|versuch\w*|möglicherweise|kann|können"
        r"|will|wollte\w*|wollen|muss|musst|müssen"
        r"|soll|sollen|nicht|nie|niemals|kein\w*|ned|immer|normalerweise|üblicherweise|in der regel"
        r"|meist\w*|grundsätzlich|sonst|oft|jede[nrs]?"
        r"|bitte|hatte\w*|war|waren|wurde\w*|gestern|letzte[nrs]? (?!tage|woche im)|vorige\w*|(?:ich"
        r"|wir) hab\w*|hab[e']?\w* (?:ich|wir)|überlege|glaube?|denke?n?|am liebsten"
        r"|sobald sie wollen|irgendwann|erst|bei uns|erwarte\w*|brauch\w*|suchen|ob|bereits|schon \w+t"
        r"|selbstverständlich innerhalb|im schlimmsten fall|^(?:sobald|dass|weil|damit|obwohl|während"
        r"|bevor) .*"
    ),
    sentence_blockers=compile_words(r"wenn .*(?:würde|hätte|wäre|könnte)\w*|im schlimmsten fall"),
    idioms=compile_words(
        r"falls (?:irgend\w+|etwas|was)|irgendetwas ist|wird schon|umbringen|sie hören (?:von uns"
        r"|nie)|schöne[nrs]? (?:wochenende|tag|abend|woche)"
        r"|bis (?:zum nächsten mal|dann|bald|später)|viel (?:glück|erfolg|spaß)|freue? mich|freuen uns"
        r"|nehme? an|ehrlich gesagt|geht'?s|wie (?:geht|stehts|steht)"
        r"|guten (?:morgen|tag|abend)|grüß\w*|anbei|im anhang|zur verfügung|entschuldig\w*"
    ),
    reports=compile_words(
        r"sagt\w*|gesagt|g'sagt|mein(?:t|te|ten)|schreibt|schrieb|behauptet\w*|versprach|versprochen hat"
        r"|verspricht|angedeutet|laut|denkt|erzählt\w*"
        r"|hörte?|gehört|berichtet\w*|schwört|kündigt\w*|angekündigt|glaubt|vermutet|wünscht|sich (?:sicher "
        r"|wohl )?entschuldigen"
    ),
    openers=compile_start(
        r"(?:und |aber |oder )?(?:ich|wir|sie|er|es|du|ihr|man|das|dann)",
        r"(?!(?:bis|am|um|ab|den|dem|vor|nach|also|spätestens|vormittags|nachmittags|mittags|abends"
        r"|ganz|pünktlich|inklusive|inkl"
        rf"|{'|'.join((*_WEEKDAYS, *_MONTHS))})\b)[^\W\d]+",
    ),
    conjunctions=re.compile(
        r"(?<!\w)(?:(und|aber|sondern)(?= (?:ich|wir|sie|er|du|ihr|es|das|die|der|den|morgen|heute"
        r"|mia)\b))",
        re.IGNORECASE,
    ),
    continuations=compile_words(rf"und(?= (?:dann |auch )?(?:{_ACT}(?:e|en)?|melde?n?|in kw)(?: |$))"),
    conditions=compile_start(r"(?:und |aber |nur )?(?:wenn|falls|sofern|vorausgesetzt|kommen die|kommt die|kommt der)"),
    event_time=compile_words(
        r"sobald|nachdem|nach (?:eingang|erhalt|freigabe|zahlung|lieferung|prüfung|rücksprache)"
        r"|\w+ (?:tage?|wochen?) (?:vor|nach) (?:dem|der|den)"
    ),
    announcements=compile_words(r"(?:meld\w*|geb\w*|sag\w*|schreib\w*|bescheid|informier\w*)"),
    finite=compile_words(
        r"ich|wir|sie|er|es|du|ihr|man|ist|sind|war|waren|hat|haben|hast|habe|wird|werden|kann|können"
        r"|muss|soll|will|braucht|brauche|kostet|fehlt|gibt"
        r"|hallo|liebe[rs]?|danke|moin|servus|grüezi|guten|sehr|bring\w*|schick\w*|[a-zäöü]{3,}(?:te"
        r"|ten|st)|\w+iert|steht|stand|seit|von|zwischen|gekommen|ge\w{3,}t"
    ),
)
