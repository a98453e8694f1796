"""English: promises, what rules them out, and dates."""

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
    "mon(?:day)?": 0,
    "tue(?:s(?:day)?)?": 1,
    "wed(?:nesday|s)?": 2,
    "thu(?:r(?:s(?:day)?)?)?": 3,
    "fri(?:day)?": 4,
    "sat(?:urday)?": 5,
    "sun(?:day)?": 6,
}
_MONTHS = {
    "jan(?:uary)?": 1,
    "feb(?:ruary)?": 2,
    "mar(?:ch)?": 3,
    "apr(?:il)?": 4,
    "may": 5,
    "june?": 6,
    "july?": 7,
    "aug(?:ust)?": 8,
    "sep(?:t(?:ember)?)?": 9,
    "oct(?:ober)?": 10,
    "nov(?:ember)?": 11,
    "dec(?:ember)?": 12,
}
_NUMBERS = {
    "an?": 1,
    "one": 1,
    "two|a couple of": 2,
    "three": 3,
    "four": 4,
    "five": 5,
    "six": 6,
    "seven": 7,
    "eight": 8,
    "nine": 9,
    "ten": 10,
    "twelve": 12,
    "fourteen": 14,
    "fifteen": 15,
}
_UNITS = {"days?": 1, "weeks?": 7, "fortnight": 14, "months?": 30, "hours?|hrs?|minutes?|mins?": 0}
_TODAY = (
    "today|tonight|(?:this|later this) (?:morning|afternoon|evening)|(?:by )?(?:end of|close of) (?:the )?(?:day"
    "|business)"
    "|eod|cob|later today|right now|right away|straight away|now|immediately|at once|before the day is out"
)
_TOMORROW = "tomorrow|tmrw|tmw|tomoz|overnight|first thing in the morning"
_DATES = DateWords(
    weekdays=_WEEKDAYS,
    months=_MONTHS,
    numbers=_NUMBERS,
    units=_UNITS,
    patterns=(
        (r"{year}-(?P<month>0\d|1[0-2])-{day}", "date", {}),
        (r"(?:{weekday},? (?:the )?)?{day}(?:st|nd|rd|th)?(?: of)? {month}\.?(?:,? {year})?", "date", {}),
        (
            r"(?:{weekday}(?: (?:morning|afternoon|evening))?,? )?{month}\.? (?:the )?{day}(?:st|nd"
            r"|rd|th)?(?:,? {year})?",
            "date",
            {},
        ),
        (r"(?:end|last (?:day|week)) of (?:the )?{month}", "end of month", {}),
        (r"(?:mid|the middle of)[- ]{month}", "middle of month", {}),
        (r"(?:early|the (?:start|beginning) of) {month}", "start of month", {}),
        (r"{month} on(?:wards)?", "start of month", {}),
        (r"(?:the )?(?:end of )?(?:the )?day after tomorrow", "offset", {"number": 2, "unit": 1}),
        (r"(?:{weekday},? )?the {day}(?:st|nd|rd|th)?", "day", {}),
        (r"{weekday},? {day}(?:st|nd|rd|th)", "day", {}),
        (r"(?:within|in) {number} (?:business|working|work) days?(?: time)?", "working days", {}),
        (r"(?:within|in|inside)(?: the next)? {number} {unit}(?:['’]? time)?", "offset", {}),
        (r"(?:within|in|inside) (?:the|half an|an?) {unit}", "offset", {"number": 1}),
        (r"{number} {unit} from (?:now|today)", "offset", {}),
        (r"{weekday}(?: of)? this week", "weekday", {}),
        (r"(?:a )?week (?:from |on ){weekday}", "weekday in a week", {}),
        (r"{weekday} week", "weekday in a week", {}),
        (r"next {weekday}", "weekday next week", {}),
        (r"{weekday}(?: of)? next week", "weekday next week", {}),
        (r"(?:mid|the middle of|middle of)[- ]next week", "middle of next week", {}),
        (r"(?:early|the (?:start|beginning) of|start of) next week", "start of next week", {}),
        (r"(?:(?:the )?end of )?next week", "next week", {}),
        (r"(?:the )?(?:end of )?(?:the|this) week|(?:the )?end of (?:the )?week|eow|later this week", "this week", {}),
        (r"(?:calendar )?week (?:no\.? )?{number}", "week number", {}),
        (r"(?:the )?end of next month|next month", "end of month", {"number": 1}),
        (r"(?:the )?end of (?:the|this) month|(?:the )?end of month|eom|this month", "end of month", {}),
        (r"(?:mid|the middle of the|the middle of)[- ](?:this )?month", "middle of month", {}),
        (r"(?:the )?end of (?:the|this) year|year[- ]end", "end of year", {}),
        (r"(?:the |this )?weekend", "weekend", {}),
        (rf"(?:{{weekday}}(?: |, )?)?(?:{_TOMORROW})", "offset", {"number": 1, "unit": 1}),
        (_TODAY, "offset", {"number": 0, "unit": 1}),
        (r"(?:this |on )?{weekday}(?: this week)?", "weekday", {}),
        (r"in {month}", "end of month", {}),
        (r"the same day|same day", "offset", {"number": 0, "unit": 1}),
        (r"in the morning", "offset", {"number": 1, "unit": 1, "weak": 1}),
        (
            r"noon|midday|lunch(?:time)?|closing time|\d{1,2}(?::\d\d)? ?(?:am|pm|a\.m|p\.m|o'clock)"
            r"|\d{1,2}:\d\d",
            "offset",
            {"number": 0, "unit": 1, "weak": 1},
        ),
        (r"the (?:next day|day after|following day)", "offset", {"number": 1, "unit": 1}),
    ),
    deadline=compile_ending(
        r"(?:by|until|till|til|no later than|not later than|at the latest|before|to|on or before|latest)"
        r"(?: (?:the )?(?:end of|close of)(?: business)?(?: on)?)?(?: (?:the|on|around|about))?"
    ),
    before=compile_ending(r"before(?: the)?"),
    weekends=frozenset({"weekend", "the weekend", "this weekend"}),
    any_date=compile_words(
        r"\d{1,2}(?:st|nd|rd|th)?|\d{4}-\d\d-\d\d|\w+day|mon|tues?|wed|thu(?:rs?)?|fri|sat|sun|week|weekend|fortnight"
        r"|month|year|today|tonight|morning|afternoon|evening|noon|midday|lunch|lunchtime|time|\d{1,2} ?[ap]m"
        r"|day|eod|cob|eow|eom|now|away|immediately|once"
        r"|tomorrow|tmrw|tmw|overnight|hours?|hrs?|minutes?|mins?|days|weeks|months|out|" + "|".join(_MONTHS)
    ),
)

_ADVERBS = (
    r"(?: (?:also|then|just|personally|gladly|happily|of course|certainly|definitely|now|simply"
    r"|go and|go ahead and|even|both|all|be sure to|make sure to|pop (?:in|out|over) and))*"
)
_WE = r"(?:i|we|we both|both of us|our team|my team|the team)"
_STATIVE = (
    r"(?:never|not|see|think|assume|admit|believe|miss|need|want|wish|hope|like|love|have to"
    r"|be (?:honest|straight|frank|happy|glad|delighted|here|fine|ok|away|out|off|in touch if"
    r"|sorry|closed|able|late|grateful)|let you go|leave you|settle for|survive|die|cry|regret"
    r"|remember|forget|know|manage without|take your word)"
)
_HANDED = (
    r"(?:with you|in your|at your|on your|yours|on the|up|live|ready|done|finished|fixed|there"
    r"|back|sent|shipped|delivered|online|waiting|complete|out|preserved|refunded|credited|available"
    r"|installed|posted|on (?:its|their) way|boxed|made|\w+ed)"
)
_DOING = (
    r"(?:sending|dropping|bringing|paying|transferring|posting|shipping|picking|collecting|refunding|coming|delivering"
    r"|mailing|emailing|uploading|returning|swapping|replacing|booking|getting|giving|putting"
    r"|launching|starting|going live"
    r"|fixing|finishing|wiring|moving|installing|printing|leaving|handing|calling|crediting|preparing|reserving|doing)"
)
_GET = r"(?:have|get|receive|see|hear|find|be (?:able to )?(?:have|get|see))"
_ACT = (
    r"send|sends|deliver|delivers|ring|rings|call|calls|mail|email|post|posts|bring|brings|fix|fixes|drop|drops|come"
    r"|comes|start|starts|pick|picks|collect|collects|ship|ships|go|goes|arrive|arrives|land|lands|leave|leaves|launch"
    r"|launches|begin|begins|follow|follows|install|installs|pay|pays|transfer|transfers|run|runs|give|gives|hand|hands"
    r"|prepare|prepares|write|writes|do|does|finish|finishes|upload|uploads|book|books|confirm|confirms|meet|meets"
)

GRAMMAR = Grammar(
    name="english",
    dates=_DATES,
    promises=(
        promise(rf"{_WE}(?:'ll| will| shall|ll){_ADVERBS} (?!{_STATIVE}\b)[a-z]+", 0.85, by_speaker=True),
        promise(
            rf"(?:i'm|we're|i am|we are|im) (?:going to|gonna){_ADVERBS} (?!{_STATIVE}\b)[a-z]+", 0.85, by_speaker=True
        ),
        promise(
            r"(?:i|we) (?:(?:can|will) )?(?:promise|guarantee|commit|undertake|agree|pledge)(?: you)?(?: to| that|,)?",
            0.85,
            by_speaker=True,
        ),
        promise(r"you(?:'ll| will| shall) " + _GET + r" (?!to\b|that\b|noticed?\b)\w+", 0.8, "date"),
        promise(r"you (?:get|have|receive) (?!to\b|that\b|been\b)\w+", 0.7, "agent and date"),
        promise(r"(?:^\w+|is|are) on (?:me|us)(?= |$)", 0.55),
        promise(r"instead$", 0.6, "agent and date"),
        promise(r"(?:we|i) (?:won't|will not) (?:charge|bill|invoice)", 0.8, by_speaker=True),
        promise(r"(?:no|free of|without) (?:extra |additional |any )?charge(?: for)?|on the house", 0.65, "date"),
        promise(r"no (?:extra )?charge for (?:this|that|you|it)\b", 0.65),
        promise(rf"[a-z]\w*(?:'ll| will| shall) (?:then )?be {_HANDED}", 0.75, "date"),
        promise(
            rf"(?:(?:i'm|we're|i am|we are|im) |^(?:(?:and|just) )?)(?:(?:just|also|now) )?{_DOING}",
            0.7,
            "date",
            by_speaker=True,
        ),
        promise(
            r"(?:^|^(?:and|but|so|then) )(?:will|shall|gonna) (?!be\b|not\b|you\b|i\b|we\b|it\b|they\b"
            r"|that\b)[a-z]+",
            0.75,
            by_speaker=True,
        ),
        promise(r"(?:is |are )?(?:coming|following|to follow)(?: your way)?", 0.65, "agent and date"),
        promise(r"(?:i|we) can (?:hold|keep|have|deliver|do|get|bring|send|offer|reserve|ship|start)\b", 0.65, "date"),
        promise(rf"(?:{_WE}|he|she|(?-i:(?!The|Our|My|Your|This|\w+day)[A-Z][a-z]+)) (?:{_ACT})", 0.7, "date"),
        promise(
            r"(?:goes|go|gets?|arrives?|lands?) (?:out|off|to you|there|here|on|by|at|\w+day|tonight"
            r"|today|tomorrow)",
            0.65,
            "date",
        ),
        promise(
            r"(?!(?:they|it|that|this|there|who|which|i|we|you)\b)[a-z]\w*(?:'ll| will| shall) (?!be\b"
            r"|have\b|not\b)[a-z]+",
            0.7,
            "date",
        ),
        promise(r"(?:i am|i'm|we're|we are) (?:at|with|there|on site)\b", 0.65, "date", by_speaker=True),
        promise(r"(?:is|are) (?:yours|fine|ok|okay|good|perfect|doable|agreed|confirmed)", 0.6, "agent and date"),
        promise(r"(?:works?|it is|suits? us|is a deal)(?=$|[,.! ])", 0.6, "agent and date"),
        promise(r"it is,? promise|promise[d]?$", 0.7, "date"),
        promise(rf"(?:{_ACT}) (?:in|out|off|back|over|by|on|with you|to you|at|up)?", 0.55, "agent and date"),
        promise(r"(?:is|are|gets?) (?:yours|on me|on us)", 0.55),
    ),
    blockers=compile_words(
        r"should(?:n't)?|might|may(?! \d|\b[,.]|$)|could(?:n't)?|would(?:n't)?|i'd|we'd|you'd|they'd"
        r"|he'd|she'd|probably|perhaps"
        r"|maybe|hopefully|hope|hoping|possibly|likely|ideally|presumably|i think|i guess|i believe"
        r"|i suppose|try|trying"
        r"|aim|plan to|planning|intend|expect|can't|cannot|can not|won't(?! charge| bill| invoice)"
        r"|not|never|don't|doesn't"
        r"|didn't|isn't|aren't|wasn't|unable|unlikely|usually|normally|typically|generally|always|often|sometimes"
        r"|as a rule|every (?:\w+day|day|week|month|time|year)|on average|used to|was|were|had|did|went|said|swore|ago"
        r"|yesterday|on an? \w+day|over a weekend|last (?:week|month|year|night|time|\w+day)(?! of)"
        r"|let me|let us|let's|please|able to|supposed|wanted|has been"
        r"|have been|depends|costs?|unless|weekdays|mondays|tuesdays|wednesdays|thursdays|fridays"
        r"|saturdays|sundays|if all goes"
    ),
    sentence_blockers=compile_words(
        r"if (?:i|we|you|he|she|they|it|the \w+|your \w+|\w+) (?:had|were|could|would|wanted|felt|liked|knew|\w+ed)\b"
        r"|would have|would've|if only|i wish|should it|should you|what if"
    ),
    idioms=compile_words(
        r"(?:i|we)'?ll (?:be (?:honest|straight|frank|blunt|damned)|admit|believe it|think (?:about"
        r"|it)|let you go|never"
        r"|see (?:what|how|if)|say|grant|give you that|spare you|take that as|bet|eat my)|i will say|we'll see"
        r"|(?:will|ll) (?:love|never|always|hate|kill|eat|forgive|thank)|see you|talk (?:to you )?(?:soon"
        r"|later)|fingers crossed"
        r"|(?:anything|something) (?:comes|turns) up|any (?:questions|problems|issues)|have (?:a )?(?:nice"
        r"|great|good|lovely)"
        r"|ends? on|expires?|deadline|good luck|happy to|glad to|feel free|looking forward"
    ),
    reports=compile_words(
        r"says|said|tells?|told|claims?|claimed|promised|reckons?|thinks?|wants?|wanted|asks?|asked|heard|according to"
        r"|announced|swears?|insists?|hopes|mentioned|expects?|estimates?|believes|wonders?|reads|suggests?|weather"
    ),
    openers=compile_start(
        r"(?:and |but |so |then |or )*(?:i|we|you|he|she|they|it|there|that's|who)(?:'\w+)?(?! \d)",
        r"but|so|because|since|although|though|which|whereas|if|unless|when|as long as|as soon as"
        r"|once|in case|and if|and then"
        r"|as (?:the|we|i|you|it)|while|yet",
    ),
    conjunctions=re.compile(
        r"(?<!\w)(?:(and|but|so)(?= (?:i|we|you|he|she|they|it|the|my|our|will)(?:'\w+)? )"
        r"|(?=(?:because|although|though|if|unless|whether|in case|so (?:that )?you|what|which|where|but)\b)"
        r"|(?=(?:i|we|you)(?:'ll| will)\b)(?<!and )(?<!but )(?<!so ))",
        re.IGNORECASE,
    ),
    continuations=compile_words(
        r"(?:and|then|, then)(?: then)?(?= (?:also )?(?:send|get|give|let|tell|mail|email|call|ring"
        r"|bring|deliver|post|have|make|put|set|"
        r"ship|pay|return|report|write|update|confirm|book|fix|add|share|upload|come|drop|check"
        r"|keep|will|order|show)(?!-)\b)"
    ),
    conditions=compile_start(
        r"(?:and |but |then |so |even )?(?:if|unless|provided|as long as|assuming|in case|should you)"
    ),
    event_time=compile_words(
        r"once|as soon as|the moment|when (?:it|the|you|he|she|they|we|i)|(?:within )?\w+ (?:\w+ )?(?:days?"
        r"|weeks?|hours?) (?:of|after|from) (?:the|your|receipt|receiving|getting|approval|arrival"
        r"|we)"
        r"|(?<!day )after (?:the|you|your|we|i|it|that|approval|receipt)|upon"
    ),
    announcements=compile_words(
        r"(?:tell|let|text|update|ring|call|write|report|get back)(?: to)? (?:you|back)(?: know)?"
    ),
    negates_before_verb=True,
    finite=compile_words(
        r"i|we|he|she|they|it|who|there|is|are|was|were|am|has|have|had|do|does|did|can|need|needs|want|wants|closes?"
        r"|opens?|takes?|costs?|works?|means|leaves us|includes?|attached|received|paid|thanks?"
        r"|thank|sorry|congratulations"
        r"|\w+n't|\w+'s|\w+'re|\w+'ve|hi|hello|dear|until|sent|booked|kept|came|went|got|get|gets"
        r"|see you|between|since|rang|changes|(?!done)(?!trimmed)\w{3,}ed|this morning|just now"
        r"|already|reference|due|no later|says|leave|should|might|could|would|will|shall|may"
    ),
)
