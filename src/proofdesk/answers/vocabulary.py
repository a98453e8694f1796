"""Words of business conversations in English, German, Russian and Spanish, for the extractive answers. Pure.

A prefix stands for all words that begin with it. The lists are general: they describe the trade, not a data set.
"""

import re
from functools import lru_cache

from proofdesk.indexing import tokenizer

# Words that say nothing about the topic: function words, question words, and verbs of saying and promising.
_STOP = """
a an and or but the this that these those there here it its she they them their her we our ours us you your i my
me is are was were be been being do does did done doing have has had having will would shall should can could may might must
not no nor yes of in on at to for from by with about into onto over under up out off as than then so if when whenever what
which who whom whose where why how until till before after since during again already still ever never now finally end ended
long many much far soon late last first there any some all both each every per one ones own just only also too very really
happen happened happens become became get gets got getting give gave given make made take took taken come came go goes went
going want wanted wanting let say says said tell tells told promise promised promises promising agree agreed agreement commit
committed state stated mention mentioned ask asked answer answered know known think thought mr mrs ms miss dr sir madam client
customer customers company yet actually supposed due ready keep keeps kept honour honoured meet met original originally initially first finally eventually later way use used using put need needs needed find found work works start starts started look looks play plays playing hold holds held move happen place exactly date day days time deadline
der die das den dem des ein eine einen einem einer eines und oder aber auch nicht kein keine keinen ist sind war waren sein
wird werden wurde wurden worden hat haben hatte hatten kann können konnte soll sollen sollte sollten muss müssen darf ich du
er sie es wir ihr ihnen ihm ihn uns unser unsere unserem unseren unserer mein meine euch euer von vom zu zum zur bei beim mit
für auf an am im in aus nach über unter um bis seit vor wann was wer wen wem wessen wo wohin woher warum wie wieviel welche
welcher welches welchem welchen viele viel lange noch schon nun jetzt dann denn da dort hier als ob wenn dass sich man so nur
endlich ende eigentlich überhaupt frau herr herrn frl dr kunde kunden kundin sagen sagte sagten gesagt sagt versprochen
versprach versprechen versprochene zugesagt zusage zugesagte vereinbart vereinbarten genannt nannten nennen angegeben wollte
wollten bekommen bekam bekommt geben gab gegeben machen machte gemacht gehen ging ursprünglich zunächst zuerst zurück schließlich bereit fertig gehalten halten hält eingehalten brauchen braucht nutzen finden findet statt stattfinden kommen kommt kam tag tage datum zeit frist termin rechtzeitig
и а но или не ни да нет это этот эта эти того тот та те как какой какая какое какие какого какую каком каким когда кто кого
кому кем чей что чего чему чем где куда откуда почему зачем сколько ли же бы был была было были быть есть будет будут в во на
к ко с со у о об от до из за по для при про над под через после перед я ты он она оно мы вы они нас нам нами вас вам их его ее
её ему ей им наш наша наше наши мой моя все всё всего уже еще ещё только тоже также так то там тут здесь сейчас теперь потом
итоге конце концов который которая которые которого обещал обещала обещали обещано обещать пообещал пообещала пообещали
обещание обещанию обещания сказал сказала сказали говорил говорили сообщил сообщили назвал назвала назвали договорились
согласовали должен должна должны мог могли хотел хотела хотели срок срока сроку сроке дата дату дате день дня дни число числу
время времени какому господин госпожа клиент клиента клиенту случилось стало изначально первоначально сначала окончательно готово готов сдержали выполнил выполнили получит получил получила сделал сделали делал свой свою свои
el la los las lo un una unos unas y e o u pero no sí si ni que qué cual cuál cuales cuáles quien quién quienes quiénes cuando
cuándo donde dónde como cómo cuanto cuánto cuanta cuánta cuantos cuántos cuantas cuántas por para con sin de del al a en sobre
entre hasta desde hacia según tras ante bajo su sus mi mis tu tus nuestro nuestra nuestros nuestras se le les nos me te es son
era eran fue fueron ser está están estaba estar estaría ha han había haber hay hemos será sería tiene tenía tienen tener
puede podía debe debía quiere quería iba iban ir va van dijo dijimos dijeron decir dicho prometió prometimos prometieron
prometido promesa prometer acordó acordamos acordado confirmó señor señora don doña sr sra cliente clienta ya aún todavía
también más muy todo toda todos todas fecha día días plazo momento finalmente final cumplió cumplir pasó algo originalmente inicialmente primero listo lista hacer hizo hicieron sigue seguir pie queda quedó
"""
_STOP_WORDS = frozenset(map(tokenizer.fold, _STOP.split()))
_STOP_FORM = re.compile(r"[^\W\d]{1,2}|hi[ms]")  # words this short are pronouns, articles and prepositions

# One line for each notion: the words of the four languages that name it.
_CONCEPTS = """
deliver delivery ship dispatch courier parcel liefer versand verschick zustell paket достав отправ отгруз курьер посыл привез entreg envi despach mensajer paquete
send sent mail forward schick send gesendet geschickt присл посла отосл выслат вышл прислат envi mand adjunt
receive arriv landed ankomm angekommen erhalt erhielt empfang eingetroffen eingang получ пришл приш прибы поступ recib lleg
collect pickup pick abhol abgehol забра забер самовывоз выдач recog recoj retir
invoice bill rechnung фактур счет счёт factur
pay paid payment transfer zahl bezahl überweis überwiesen anzahlung оплат плат перев аванс pag abon transferencia anticipo
refund reimburs money-back rückerstatt erstatt gutschrift возврат верн reembols devol reintegr
price cost charge quote estimate fee preis kost angebot kostenvoranschlag gebühr berechn цен стоим смет прайс расцен precio cost presupuesto tarifa cobr cuest
discount rebate voucher coupon promo rabatt nachlass gutschein скидк промокод купон descuent rebaj cupón
total amount sum summe betrag gesamt сумм итог importe monto total
contract agreement vertrag договор контракт contrat acuerd convenio
sign signed signature unterschr unterzeich подпис firm
approve approval sign-off release genehmig freigab freigeg freigib утверд утверж одобр согласов aprob autoriz visto
cancel cancell stornier absag abgesagt kündig отмен cancel anul
move postpon resched delay shift verschob verschieb verlegt verleg перенес перенос сдвин отлож aplaz pospon retras
order bestell auftrag заказ pedido encarg
website site web webseit homepage сайт sitio
page landing seite страниц página
logo лого
design entwurf gestaltung дизайн эскиз макет diseño boceto
draft proof layout entwurf korrektur макет чернов borrador prueba maqueta
brochure leaflet flyer booklet folder broschür faltbl flugbl prospekt брошюр буклет листов флаер folleto tríptico volante
catalog catalogue katalog каталог catálogo
banner banners plakat баннер плакат pancarta cartel lona
card cards karte визит карточ открыт tarjeta
invitation einlad приглаш invitac
label etikett этикет наклей etiquet
book books buch bücher книг libro
calendar kalender календар calendario
print press druck печат тираж imprim imprent impres
edition copies auflage exemplar тираж экземпляр tirada ejemplar
cover umschlag titel обложк portad cubiert
photo picture image foto bild снимок фото картин foto imagen
colour color farb цвет color
paper papier бумаг papel
text copy texte текст texto
translation translat übersetz перев traduc
version fassung верси versión
document file pdf datei dokument документ файл archivo document ficher
export download ausfuhr выгруз экспорт export descarg
data database daten datenbank данн баз datos
hosting server host хостинг сервер alojam servidor
bug error fault failure fehler störung ошибк сбой поломк fallo error avería
fix repair correct reparier reparatur behob ремонт почин исправ repar arregl corrig
replace replacement ersatz austausch замен reempla repuest sustit
part parts teil ersatzteil запчаст детал pieza recambio
bike bicycle e-bike fahrrad rad lastenrad велосипед bici
wheel brake fork chain bremse gabel laufrad тормоз вилк колес freno horquilla rueda
lamp light leuchte lampe лампа светильн торшер lámpara
dress cup plate mug bowl teller tasse тарелк кружк чашк plato taza
table chair furniture tisch stuhl möbel стол стул мебел mesa silla mueble
party celebration feier fest праздник вечерин fiesta celebr
wedding hochzeit свадьб boda
event veranstaltung мероприят событи evento
guest guests gäste gast гост invitad asistent huésped
guestlist gästeliste
room hall saal raum зал комнат помещ sala salón
venue location veranstaltungsort площадк sede recinto lugar
hotel отел гостиниц
menu catering buffet essen speise меню кейтеринг фуршет menú banquete comida
cake torte kuchen торт pastel tarta torta
band music orchestra musik orchester kapelle музык оркестр группа orquesta música
meeting appointment call termin besprech anruf встреч звон reunión cita llamada
contact person ansprechpartner контакт interlocutor
photo shoot fotograf фотограф fotógraf
support help hilfe unterstütz поддержк помощ ayuda soporte
seat licence license user lizenz nutzer platz пользоват лиценз место licencia usuario asiento
plan subscription tariff abo tarif тариф подписк suscripción plan
trial test probe тест пробн prueba
feature function theme funktion функци función
app mobile handy мобильн приложен móvil aplicación
price-list preisliste прайс-лист
list liste список lista
comment feedback review rückmeld kommentar bewert отзыв комментар замечан comentario reseña opinión
report bericht отчет отчёт informe
notice privacy datenschutz конфиденциальн privacidad
complete finish ready fertig готов закончи завер listo termin acab
start begin launch live start online beginn запус открыт начал online lanz empez public
open opening eröffn открыти apertur inaugur
close closing schließ schluss закры cierr
reserve hold book reservier zurückleg резерв заброн отлож reserv apart
postage shipping porto versandkosten доставк portes
customs zoll тамож aduana
warranty guarantee garantie гаранти garantía
uptime availability verfügbark доступност disponib
speed fast load slow schnell ladezeit скорост загруз быстр veloc carg rápid
row rows line zeile строк fila
person people leute person человек люд persona
school schule школ escuela colegio
shop store laden geschäft магазин лавк tienda
office büro офис бюро oficina despacho
clinic dental zahn praxis клиник стоматолог clínica dental
museum музе museo
garden gart сад jardín
bank account iban konto счёт счет cuenta
check cheque scheck чек cheque
deposit anzahl kaution задат залог аванс depósito señal anticipo consign
half halb половин mitad
free kostenlos gratis umsonst бесплат gratis gratuit
late delay verspät опозд задерж retras tarde
lost missing fehl verlor потер пропа недоста perd falt
damage broken kaputt beschädig слома повреж дефект dañ rot roto
wrong mistake falsch неправильн ошибоч equivoc incorrect
new neu нов nuev
name surname назван имя nombre
choose chose pick wähl ausgewählt выбра escog elig
translate render übertrag перевели traduj
reason because grund weil причин потому razón motivo porque
rain regen дожд lluv
weekend wochenende выходн semana
manager boss director chef leiter директор начальник gerente director jefe
lawyer notary anwalt notar юрист нотариус abogad notari
driver fahrer водител conductor
money geld деньг денег dinero
week woche недел semana
month monat месяц mes
morning vormittag утр mañana
evening abend вечер tarde
hour hours stunde час hora
holiday vacation urlaub feiertag отпуск каникул vacacion
ill sick krank болез заболе больн enferm
sample muster образец образц muestra
stock warehouse lager склад наличи almacén existencias
size größe размер talla tamaño
quality qualität качеств calidad
complaint complain beschwerde reklamation жалоб претенз queja reclam
family familie семь famil
child children kind детей ребен niñ
pupil student schüler ученик студент alumn estudiant
teacher lehrer учител преподав profesor maestr
team mannschaft команд equipo
letter brief письм carta
email e-mail mail почт correo
phone telephone telefon телефон teléfono
address adresse адрес dirección
form formular форм formulario
request anfrage заявк запрос solicitud petición
entry entries eintrag запис entrada
technical technisch техническ técnic
software program programm программ programa
password passwort kennwort парол contraseña
domain домен dominio
fire feuer огонь пожар костр fuego
water wasser вода воды agua
oil öl масло масла aceite
coffee kaffee кофе café
wine wein вино вина vino
flower blume цветок цветов flor
ball dance tanz танц baile
club verein клуб общество
festival fest фестивал
exhibition ausstellung выставк exposición
fair messe ярмарк feria
conference congress kongress конференц конгресс congreso
presentation präsentation презентац presentación
video видео vídeo
map karte plan карта mapa plano
clause section klausel abschnitt пункт раздел cláusula sección
lawsuit claim klage forderung иск претенз demanda
rent rental miete mietvertrag аренд alquil
key schlüssel ключ llave
wood holz дерев madera
glass glas стекл vidrio
metal metall металл metal
fabric cloth stoff ткан tela
yarn wool garn wolle пряж шерст lana hilo
pattern muster узор выкройк patrón
factory fabrik werk фабрик завод fábrica
supplier lieferant поставщик proveedor
supply liefer поставк suministr
exchange austausch tausch обмен intercambio cambio
optimis optimiz optimier оптимизац optimiz
migration umzug migration миграц перенос migrac
backup sicherung резервн respaldo
alert alarm warnung оповещен тревог alerta alarma
monitor überwach мониторинг monitor
hall venue saal зал salón
rain regen дожд lluvia
weather wetter погод tiempo clima
taste flavour flavor geschmack вкус sabor
missing fehlend fehlt недоста отсутств falta
official offiziell официальн oficial
blue blau син голуб azul
red rot красн rojo
green grün зелен verde
white weiß бел blanc
black schwarz черн negr
gold gold золот dorad oro
"""

_CONCEPT_PREFIXES: dict[str, list[int]] = {}
for _number, _line in enumerate(_CONCEPTS.strip().splitlines()):
    for _prefix in _line.split():
        _CONCEPT_PREFIXES.setdefault(tokenizer.fold(_prefix), []).append(_number)
_LONGEST = max(map(len, _CONCEPT_PREFIXES))
_SHORT = 4  # a prefix of so many letters stands for words at most three letters longer
_INSIDE = 5  # from this length a prefix also counts inside a compound


def is_stop_word(word: str) -> bool:
    """Return whether a folded word says nothing about a topic."""
    return word in _STOP_WORDS or _STOP_FORM.fullmatch(word) is not None


def is_common(word: str) -> bool:
    """Return whether a word is no name: a stop word or a word of business."""
    folded = tokenizer.fold(word.lower())
    return is_stop_word(folded) or bool(concepts(folded))


@lru_cache(20_000)
def concepts(word: str) -> frozenset[int]:
    """Return the notions that a folded word names, also as a part of a compound."""
    named: set[int] = set()
    for end in range(3, min(len(word), _LONGEST) + 1):
        if end > _SHORT or len(word) <= end + 3:
            named.update(_CONCEPT_PREFIXES.get(word[:end], ()))
    for start in range(3, len(word) - _INSIDE + 1):
        for end in range(start + _INSIDE, min(len(word), start + _LONGEST) + 1):
            named.update(_CONCEPT_PREFIXES.get(word[start:end], ()))
    return frozenset(named)
