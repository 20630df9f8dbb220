"""Another language: the text is replaced by a sentence in one of eight, whatever the severity."""

from __future__ import annotations

from fusion_core.faults.fault import Fault, Injection, fault, on_text

SENTENCES = (
    "die verpackung war beschädigt, aber das gerät läuft einwandfrei.",
    "nach zwei wochen ging der bildschirm nicht mehr an.",
    "für den preis bekommt man hier wirklich viel geboten.",
    "la bateria se agota en pocas horas y nadie responde.",
    "lo uso todos los días y estoy muy contenta con la compra.",
    "el pedido llegó tarde y faltaba una pieza.",
    "le son est clair et l'écran reste lisible en plein soleil.",
    "je ne le recommande pas, il est tombé en panne après un mois.",
    "la livraison était rapide et le vendeur très aimable.",
    "lo schermo si vede bene ma i tasti sono troppo piccoli.",
    "dopo l'aggiornamento il telefono si spegne da solo.",
    "de knoppen zijn te klein en de handleiding is niet te begrijpen.",
    "het werkt precies zoals ik had gehoopt.",
    "o som é ótimo, mas a bateria não aguenta um dia inteiro.",
    "chegou antes do prazo e funciona muito bem.",
    "bateria trzyma krótko, a obsługa nie odpowiada na pytania.",
    "jestem bardzo zadowolony z tego zakupu.",
    "batteriet håller hela dagen och skärmen är skarp.",
    "den slutade fungera efter bara några veckor.",
)


def language(text: str, given: Injection) -> str:
    """Return a sentence in another language than English."""
    return SENTENCES[given.random.integers(len(SENTENCES))]


fault("text.language")(Fault("text", "out_of_domain", on_text(language), graded=False))
