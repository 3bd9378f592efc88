"""Invented people, companies and the places where they are."""

import random
from collections.abc import Callable, Iterator


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


FIRST_NAMES = _words(
    "Ada Adrian Aisha Alejandro Amara Amelie Anders Anika Anton Astrid Beatriz Bianca Bruno Camille Carlos "
    "Chiara Claire Dagmar Daniel Diego Elena Elif Emil Emma Erik Esther Fatima Felix Fiona Freya Gabriel "
    "Greta Hanna Hiroshi Ines Ingrid Isaac Ivan Jasmin Joao Johanna Jonas Julia Kamala Karim Kaya Laila Lars "
    "Leah Lena Leo Liam Linh Lucia Lukas Maja Marco Mariam Mateo Mei Mila Milan Nadia Naomi Nils Noor Olga "
    "Oliver Omar Otto Paula Pedro Petra Priya Rafael Ravi Rosa Samuel Sara Selma Simon Sofia Sven Tara Theo "
    "Thomas Uma Vera Victor Wanda Yara Yusuf Zoe"
)

LAST_NAMES = _words(
    "Abebe Adeyemi Almeida Andersen Bauer Becker Bell Berg Bianchi Brandt Bright Carvalho Castillo Chen "
    "Clarke Costa Dahl Dubois Eriksen Evans Farouk Fischer Fontaine Fuchs Garcia Gomez Grant Haas Hansen "
    "Haddad Hill Hoffmann Holm Ibrahim Ito Iyer Jansen Jensen Johansson Kaya Keller Khan Klein Kowalski "
    "Kumar Lambert Lang Larsen Lee Lehmann Lindgren Lopez Marino Martin Mendes Meyer Moreau Murphy Nakamura "
    "Nguyen Nielsen Novak Okafor Olsen Ortiz Park Patel Pereira Petrov Quinn Ramos Rao Reid Ricci Rossi Roy "
    "Santos Sato Schmitt Schubert Shah Silva Singh Sommer Svensson Tanaka Torres Vogel Wagner Walsh Weber "
    "Winter Wolf Wood Yilmaz Young Zimmer"
)

_COMPANY_HEADS = _words(
    "Alder Amber Anchor Arbor Aspen Atlas Aurora Beacon Birch Blue Bright Cedar Cinder Clear Cobalt Copper "
    "Coral Crest Delta Dune Eagle East Ember Fern Fjord Flint Forge Garnet Glacier Granite Green Grove Harbor "
    "Hazel Heron High Indigo Iron Ivory Juniper Kestrel Lake Larch Lark Linden Lumen Maple Marble Meadow "
    "Meridian Mill North Oak Onyx Opal Orchard Osprey Pearl Pine Prairie Quarry Quartz Raven Red Ridge River "
    "Rowan Sage Silver Slate Solar South Spruce Stone Summit Swift Thistle Timber Topaz Tundra Valley Vista "
    "Walnut West Willow Winter Wren Zephyr"
)

_COMPANY_TAILS = _words(
    "Analytics Builders Clinics Components Dental Design Dynamics Energy Engineering Foods Freight Furniture "
    "Health Hotels Industries Labs Logistics Media Mills Motors Optics Outfitters Partners Pharma Press "
    "Retail Robotics Schools Security Software Studios Systems Textiles Tools Travel Ventures Works"
)

_COMPANY_FORMS = ("", "", "", " AG", " Co", " Group", " GmbH", " Inc", " Ltd", " SA")

CITIES: dict[str, tuple[str, ...]] = {
    "US": ("Austin", "Boston", "Chicago", "Denver", "Portland", "Raleigh", "Seattle"),
    "CA": ("Calgary", "Montreal", "Toronto", "Vancouver"),
    "GB": ("Bristol", "Edinburgh", "Leeds", "London", "Manchester"),
    "DE": ("Berlin", "Hamburg", "Köln", "Leipzig", "München"),
    "FR": ("Lille", "Lyon", "Nantes", "Paris", "Toulouse"),
    "NL": ("Amsterdam", "Eindhoven", "Rotterdam", "Utrecht"),
    "SE": ("Göteborg", "Malmö", "Stockholm"),
    "ES": ("Barcelona", "Madrid", "Sevilla", "Valencia"),
    "IT": ("Bologna", "Milano", "Roma", "Torino"),
    "BR": ("Curitiba", "Recife", "Rio de Janeiro", "São Paulo"),
    "MX": ("Guadalajara", "Mexico City", "Monterrey"),
    "JP": ("Fukuoka", "Osaka", "Tokyo"),
    "IN": ("Bengaluru", "Chennai", "Mumbai", "Pune"),
    "AU": ("Brisbane", "Melbourne", "Perth", "Sydney"),
}


def people(rng: random.Random) -> Iterator[str]:
    """Full names without end, each only once (about nine thousand of them)."""
    yield from _unique(lambda: f"{rng.choice(FIRST_NAMES)} {rng.choice(LAST_NAMES)}")


def companies(rng: random.Random) -> Iterator[str]:
    """Company names without end, each only once (about twenty thousand of them)."""
    yield from _unique(lambda: f"{rng.choice(_COMPANY_HEADS)} {rng.choice(_COMPANY_TAILS)}{rng.choice(_COMPANY_FORMS)}")


def _unique(draw: Callable[[], str]) -> Iterator[str]:
    seen: set[str] = set()
    while True:
        name = draw()
        if name not in seen:
            seen.add(name)
            yield name


def mailbox(person: str, domain: str) -> str:
    return f"{person.lower().replace(' ', '.')}@{domain}"


def domain_of(company: str) -> str:
    return company.lower().replace(" ", "-") + ".example"
