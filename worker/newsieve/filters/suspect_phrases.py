"""The phrases with which texts speak to a model, by kind and language: RE2 patterns over folded
text.

They tell a model to ignore its instructions, speak to it, or name the scores it should give.
Imperatives and closed lists of words, since news reports on such things, too; no gap between words
takes more than what is listed, which keeps the automaton small. Knows nothing of what is done with
a match.
"""

from __future__ import annotations

from typing import Final

_ENGLISH: Final = (
    r"\b(?:ignore|disregard|forget|override|(?:do not|don't) follow) "
    r"(?:all |any |the |your |these |those |this |of |my |our |every |everything )*"
    r"(?:(?:previous|prior|preceding|earlier|above|foregoing|existing|original|initial|given) "
    r"(?:system )?(?:instructions?|prompts?|rubrics?|messages?)|(?:scoring )?rubric|system prompt"
    r"|scoring (?:rules|guide|criteria|instructions)|instructions? (?:above|before|you))\b",
    # existing rules are broken, and earlier ones overridden, in any news
    r"\b(?:ignore|disregard|forget|(?:do not|don't) follow) "
    r"(?:all |any |the |your |these |those |this |of |my |our |every |everything )*"
    r"(?:previous|prior|preceding|earlier|above|foregoing|original|initial|given) "
    r"(?:rules|guidelines|directions|directives|criteria)\b",
    r"\b(?:ignore|disregard|forget) (?:all|everything|anything) (?:of )?(?:the |that )?"
    r"(?:above|before this|came before|previous|prior)\b",
    r"\b(?:ignore|disregard) (?:all|everything|anything) (?:that )?"
    r"you (?:were|have been|are) told\b",
    r"\b(?:note|message|memo|notice|instructions?|reminder|attention)(?: to| for|,|:) "
    r"(?:the |all |any |our |you, the )*(?:ai |llm |automated |human )?"
    r"(?:raters?|graders?|scorers?|annotators?|language models?|llms?|scoring models?"
    r"|(?:ai|models?|assistants?|chatbots?|evaluators?|systems?) ?:)",
    r"\b(?:any|all|every|the) (?:ai|llm|language model)s? (?:models? |systems? )?(?:that |who )?"
    r"(?:read|scor|rat|process|evaluat|grad)(?:s|es|ing) (?:this|the article|the text)\b",
    r"\bdear (?:ai|llm|language models?|raters?|graders?|evaluators?|scorers?|annotators?)"
    r"(?: models?| systems?| assistants?)? ?[,:!]",
    r"\bcorrect (?:scores|ratings|labels) (?:are|should be|must be|here|on|for)\b",
    r"\bcorrect (?:score|rating|label) (?:for|of) (?:this|the) (?:article|text|story)\b",
    r"\b(?:10s?|tens?|9s?|nines?|0|zero|maximum|highest|top|full|perfect) "
    r"(?:points? |out of (?:10|ten) |marks? |scores? |ratings? )*(?:on|for|in|across|to) "
    r"(?:every|all|each|any)(?: of)?(?: the)?(?: \w+)? (?:dimensions?|criteri(?:a|on))\b",
    r"\ball (?:dimensions|criteria|scores) (?:to|as|at|with) (?:10|tens?|maximum|0|zero)\b",
    r"\b(?:score|rate|grade|label|classify|treat|mark) (?:this|the above|the following) "
    r"(?:article|text|story) (?:as |with |at |a |an |all )*"
    r"(?:10|tens?|9|nines?|highly|highest|maximum|uplifting|impact)\b",
    r"\bas an? (?:ai|large)(?: language model| assistant| model)?, (?:i|you)\b",
    r"\b(?:you are|you're) (?:now )?an? "
    r"(?:(?:ai |large |helpful )*language model|(?:ai |large |helpful )+assistant)\b",
    r"\bif you are an? (?:large )?(?:ai|llm|language model)(?: model| system| assistant)?"
    r"(?: ?[,:.]| (?:read|scor|rat|process|evaluat|grad)ing\b)",
    r"\b(?:answer|respond|reply|output)(?: only| exactly| strictly)? (?:with )?"
    r"(?:the following |this |exactly |only |valid )*(?:json\b|(?:exactly|verbatim) ?:)",
    r"\barticle (?:above|below) (?:was|is) (?:only |just )?a test\b",
    r"\b(?:new|updated|real) (?:system )?(?:instructions?|prompt) ?:",
)
_DUTCH_AND_AFRIKAANS: Final = (
    r"\b(?:negeer|vergeet|ignoreer)(?: u)? (?:al |alle |de |die |je |jou |jouw |uw |deze )*"
    r"(?:(?:eerdere|vorige|voorgaande|voorafgaande|bovenstaande|bostaande|oorspronkelijke) "
    r"(?:instructies|opdrachten|aanwijzingen|regels|richtlijnen|prompts?|instruksies|opdragte)"
    r"|rubriek|beoordelingsschaal|systeemprompt|alles hierboven)\b",
    r"\b(?:opmerking|bericht|notitie|instructie|noot|nota) (?:voor|aan|vir) "
    r"(?:de |het |die |alle )*"
    r"(?:beoordelaars?|taalmodel(?:len)?|(?:ai|ai-model|model|assistent) ?:)",
    r"\bbeste (?:ai|ai-model|taalmodel|beoordelaar) ?[,:!]",
    r"\b(?:juiste|correcte) (?:scores|beoordelingen) (?:zijn|moeten)\b",
    r"\b(?:10|tien)(?: punten)? (?:op|voor|bij|in) (?:elke|alle|iedere) "
    r"(?:dimensies?|criteri(?:a|um))\b",
    r"\b(?:je|jij|u) bent een (?:ai-|groot )?(?:taalmodel|ai-assistent)\b",
)
_GERMAN: Final = (
    r"\b(?:ignoriere?n?|vergiss|vergessen|missachten?) "
    r"(?:sie |bitte |alle |die |deine |ihre |diese |sämtliche )*"
    r"(?:(?:vorherigen?|bisherigen?|obigen?|vorigen?|vorangegangenen?|früheren?|ursprünglichen?) "
    r"(?:anweisungen|instruktionen|vorgaben|regeln|befehle|prompts?|richtlinien)"
    r"|bewertungsskala|bewertungsraster|systemprompt|alles (?:obige|bisherige))\b",
    r"\b(?:hinweis|anmerkung|nachricht|anweisung|notiz) (?:an|für) (?:den |die |das |alle )*"
    r"(?:bewerter|bewertenden|sprachmodelle?|(?:ki|ki-modelle?|modelle?|assistenten) ?:)",
    r"\bliebes? (?:ki|ki-modell|sprachmodell) ?[,:!]",
    r"\b(?:richtigen?|korrekten?) (?:bewertungen|punktzahlen|scores) (?:sind|lauten)\b",
    r"\b(?:10|zehn)(?: punkte)? (?:in|auf|für|bei) (?:jeder?|allen?|sämtlichen?) "
    r"(?:dimension(?:en)?|kriterien)\b",
    r"\b(?:du bist|sie sind) ein (?:ki-|großes )?(?:sprachmodell|ki-assistent)\b",
)
_FRENCH: Final = (
    r"\b(?:ignore[zr]?|oublie[zr]?|(?:ne tiens|ne tenez) pas compte|fais abstraction) "
    r"(?:de |des |toutes |tous |les |ces |vos |tes )*"
    r"(?:(?:instructions|consignes|directives|règles) "
    r"(?:précédentes|antérieures|ci-dessus|initiales|données|d'origine|du système)"
    r"|tout ce qui précède)",
    r"\b(?:note|message|remarque|instruction|avis)s? (?:à|pour|au|aux) ?"
    r"(?:l'|le |la |les |tous )*(?:évaluateurs?|notateurs?|modèles? de langage"
    r"|(?:ia|modèle|assistant) ?:)",
    r"\b(?:cher|chère) (?:ia|modèle de langage) ?[,:!]",
    r"\b(?:notes|scores|évaluations) (?:correct|exact)e?s sont\b",
    r"\b(?:10|dix)(?: points)? (?:sur|pour|dans|à) (?:toutes les|chaque|tous les) "
    r"(?:dimensions?|critères?)",
    r"\b(?:tu es|vous êtes) un (?:grand )?(?:modèle de langage|assistant ia)\b",
)
_SPANISH: Final = (
    r"\b(?:ignor[ae]n?|olvid[ae]n?|descart[ae]|omit[ae]) "
    r"(?:por favor |todas |todos |las |los |tus |sus |estas )*"
    r"(?:(?:instrucciones|indicaciones|órdenes|reglas|directrices) "
    r"(?:anteriores|previas|precedentes|de arriba|iniciales|originales|del sistema)"
    r"|todo lo anterior)\b",
    r"\b(?:nota|mensaje|aviso|instrucción|instrucciones) (?:para|a|al) (?:el |la |los |las )*"
    r"(?:evaluador(?:es)?|calificador(?:es)?|modelos? de lenguaje|(?:ia|modelo|asistente) ?:)",
    r"\bquerid[ao] (?:ia|modelo de lenguaje) ?[,:!]",
    r"\b(?:puntuaciones|calificaciones|notas|puntajes) correct[ao]s son\b",
    r"\b(?:10|diez)(?: puntos)? (?:en|para|a) (?:todas las|cada|todos los) "
    r"(?:dimensi(?:ón|ones)|criterios?)",
    r"\b(?:eres|usted es) un (?:gran )?(?:modelo de lenguaje|asistente de ia)\b",
)
_ITALIAN: Final = (
    r"\b(?:ignor[ai]|ignorate|dimentica|dimenticate|trascura) "
    r"(?:tutte |tutti |le |i |gli |tue |vostre |queste )*"
    r"(?:(?:istruzioni|indicazioni|regole|direttive|prompt) "
    r"(?:precedenti|di cui sopra|sopra|iniziali|originali|del sistema)"
    r"|tutto (?:ciò che precede|quanto sopra))\b",
    r"\b(?:nota|messaggio|avviso|istruzion[ei]) (?:per|al|ai|all'|a) ?(?:il |i |gli |la |l')*"
    r"(?:valutator[ei]|modell[oi] linguistic[oi]|(?:ia|modello|assistente) ?:)",
    r"\b(?:punteggi|voti|valutazioni) corrett[ie] sono\b",
    r"\b(?:10|dieci)(?: punti)? (?:su|in|per|a) (?:tutte le|ogni|tutti i) "
    r"(?:dimension[ei]|criteri)",
    r"\bsei un (?:grande )?(?:modello linguistico|assistente ia)\b",
)
_PORTUGUESE: Final = (
    r"\b(?:ignor[ae]m?|esqueça|esquece|desconsidere|descarte) "
    r"(?:todas |todos |as |os |suas |tuas |estas )*"
    r"(?:(?:instruções|indicações|orientações|regras|diretrizes) "
    r"(?:anteriores|prévias|precedentes|acima|iniciais|originais|do sistema)"
    r"|tudo (?:o que está )?acima)\b",
    r"\b(?:nota|mensagem|aviso|instruç(?:ão|ões)) (?:para|a|ao|aos|à) (?:o |os |a |as )*"
    r"(?:avaliador(?:es)?|modelos? de linguagem|(?:ia|modelo|assistente) ?:)",
    r"\b(?:pontuações|notas|classificações|avaliações) corretas são",
    r"\b(?:10|dez)(?: pontos)? (?:em|para|a) (?:todas as|cada|todos os) "
    r"(?:dimens(?:ão|ões)|critérios?)",
    r"\b(?:você é|tu és) um (?:grande )?(?:modelo de linguagem|assistente de ia)\b",
)
_POLISH: Final = (
    r"\b(?:zignoruj|ignoruj|pomiń|zapomnij o)(?:cie)? "
    r"(?:(?:wszystkie |wszystkich |te |tych |twoje )*"
    r"(?:poprzedni|wcześniejsz|powyższ)(?:e|ych|ich) "
    r"(?:instrukcj|poleceni|poleceń|wytyczn|zasad)|wszystko powyżej)",
    r"\b(?:uwaga|notatka|wiadomość|instrukcja) (?:dla|do) "
    r"(?:oceniając|model(?:u|i) językow|(?:ai|modelu|asystenta) ?:)",
    r"\b(?:prawidłowe|poprawne|właściwe) (?:oceny|wyniki) to\b",
    r"\b(?:10|dziesięć)(?: punktów)? (?:w|we|na|za) "
    r"(?:każdy|każdej|każdym|każde|wszystkich|wszystkie) (?:wymiar|kryteri)",
    r"\bjesteś (?:dużym )?(?:modelem językowym|asystentem ai)\b",
)
_SCANDINAVIAN: Final = (
    r"\b(?:ignorera?|bortse från|se bort fra|glöm|glem) "
    r"(?:(?:alla |alle |de |dina |dine |dessa |disse )*"
    r"(?:tidigare|föregående|ovanstående|tidligere|foregående|ovenstående|forrige) "
    r"(?:instruktioner|instruksjoner|instrukser|anvisningar|anvisninger|regler)"
    r"|allt ovan|alt ovenfor)",
    r"\b(?:meddelande|meddelelse|besked|melding|notering|anmärkning|instruktion) "
    r"(?:till|til|för|for) (?:alla |alle )?"
    r"(?:bedömare|bedømmere?|språkmodell|sprogmodel|(?:ai|modellen|assistenten) ?:)",
    r"\b(?:rätta|korrekta|riktige|korrekte) (?:poängen|betygen|scorerne|poengene|karakterer) "
    r"(?:är|er)\b",
    r"\b(?:10|tio|ti)(?: poäng| point| poeng)? (?:på|i|för|for) (?:alla|alle|varje|hver|samtliga) "
    r"(?:dimension(?:er)?|dimensjon(?:er)?|kriterier)",
    r"\bdu (?:är|er) en (?:stor )?(?:språkmodell|sprogmodel|ai-assistent)",
)
_OTHERS: Final = (
    # Bulgarian and Russian
    r"(?:игнорирай|игнорируй|забрави|забудь)(?:те)? (?:все |всички |мои )*"
    r"(?:предишни|предыдущие|горните|прежние)(?:те)? (?:инструкции|указания|правила)",
    # Persian
    r"(?:دستورالعمل ?های|دستورات|دستورهای) (?:قبلی|پیشین|بالا) را نادیده",
    # Indonesian
    r"\babaikan (?:semua )?(?:instruksi|perintah|petunjuk) (?:sebelumnya|di atas)\b",
)

INSTRUCTIONS: Final = (
    *_ENGLISH,
    *_DUTCH_AND_AFRIKAANS,
    *_GERMAN,
    *_FRENCH,
    *_SPANISH,
    *_ITALIAN,
    *_PORTUGUESE,
    *_POLISH,
    *_SCANDINAVIAN,
    *_OTHERS,
)
# Of the chat templates of common models, and of texts that imitate a conversation.
ROLE_MARKERS: Final = (
    r"<\|[a-z_▁]{1,30}\|>",
    r"<(?:start|end)_of_turn>",
    r"\[/?inst\]",
    r"\[/?system_prompt\]",
    r"<</?sys>>",
    r"\[/?(?:system|assistant|user)\]",
    r"</?(?:system|assistant|human)>",
    r"#{2,4} ?(?:instructions?|system|response|assistant|human|user) ?:",
    r"(?:^|[.!?>\"'] )(?:system|assistant|human): ",
    r"\b(?:begin|end|start) (?:of )?(?:the )?system (?:prompt|message)\b",
)
# Keys of the answer that the oracle is asked for, and the heading in its prompt.
ANSWERS: Final = (
    r"\\?[\"']scores\\?[\"'] ?: ?\{",
    r"\bkey_markers\b",
    r"\bform of the answer\b",
)
