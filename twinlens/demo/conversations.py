"""What the sample agents talk about."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Turn:
    """One question, the tool the agent looks it up with, and the answer."""

    question: str
    tool: str
    arguments: str
    result: str
    answer: str


@dataclass(frozen=True)
class Agent:
    """One sample agent and the conversations it has."""

    name: str
    instructions: str
    models: tuple[tuple[str, str], ...]  #: (provider, model), most used first
    talks: tuple[tuple[Turn, ...], ...]


SUPPORT = Agent(
    name="support-agent",
    instructions="You are the support agent of a small online shop for bicycles. Be brief, be kind, never guess an order's state.",
    models=(("openai", "gpt-4o-mini"), ("anthropic", "claude-sonnet-4-5"), ("openai", "gpt-4o")),
    talks=(
        (
            Turn(
                "Where is my order 4711? It should have been here on Friday.",
                "find_order",
                '{"order_id": "4711"}',
                '{"order_id": "4711", "status": "in transit", "carrier": "DHL", "expected": "tomorrow", "items": ["city bike lamp"]}',
                "Your order 4711 is on its way with DHL and should arrive tomorrow. I am sorry for the delay.",
            ),
            Turn(
                "And can I still change the address?",
                "carrier_policy",
                '{"carrier": "DHL"}',
                '{"redirect_allowed": true, "until": "18:00 on the day before delivery", "fee_eur": 0}',
                "Yes. Until 18:00 today you can redirect the parcel in DHL's app, free of charge.",
            ),
            Turn(
                "Great, thank you! Do you have a matching rear lamp?",
                "search_products",
                '{"query": "rear lamp city bike", "limit": 3}',
                '[{"name": "Lumo R2", "price_eur": 24.9, "stock": 12}, {"name": "Redline USB", "price_eur": 19.5, "stock": 3}]',
                "We have two: the **Lumo R2** (24.90 €, 12 in stock) and the **Redline USB** (19.50 €, 3 left). The Lumo matches your front lamp.",
            ),
        ),
        (
            Turn(
                "The brake of my new bike squeaks. Is that covered?",
                "search_manual",
                '{"topic": "brake noise"}',
                '[{"page": 31, "text": "New disc brakes need about 20 firm stops to bed in. Noise after that: check pads for oil."}]',
                "New disc brakes need about twenty firm stops before they are quiet (manual, page 31). If it still squeaks after that, the warranty covers it.",
            ),
            Turn(
                "I did that already. How do I claim the warranty?",
                "open_ticket",
                '{"kind": "warranty", "product": "Trekker 500", "problem": "brake noise"}',
                '{"ticket": "W-1093", "next_step": "bring the bike to a partner workshop", "nearest": "Radhaus, Lindenstr. 8"}',
                "I opened ticket **W-1093**. Please bring the bike to Radhaus, Lindenstr. 8; they have the ticket already.",
            ),
        ),
        (
            Turn(
                "Which size do I need? I am 1.71 m.",
                "size_table",
                '{"height_cm": 171, "model": "Trekker 500"}',
                '{"size": "M", "frame_cm": 52, "stand_over_cm": 78}',
                "Size **M** (52 cm frame) fits you.",
            ),
        ),
    ),
)

RESEARCH = Agent(
    name="research-agent",
    instructions="You answer questions about climate data. Cite the table you used. Show the numbers.",
    models=(("openai", "gpt-4o"), ("anthropic", "claude-opus-4-1"), ("openai", "o4-mini")),
    talks=(
        (
            Turn(
                "How much warmer was July 2025 in Berlin than the average of 1991–2020?",
                "query_sql",
                "{\"sql\": \"SELECT avg(temp) FROM daily WHERE station='berlin' AND month='2025-07'\"}",
                '{"rows": [[20.9]], "reference": {"1991-2020": 19.6}}',
                "1.3 °C warmer: 20.9 °C against 19.6 °C (table `daily`, station `berlin`).",
            ),
            Turn(
                "Plot the last ten years.",
                "make_chart",
                '{"series": "july_mean", "from": 2016, "to": 2025}',
                '{"chart": "july_mean.svg", "points": 10}',
                "Here is the chart: july_mean.svg. Seven of the ten Julys lie above the reference.",
            ),
        ),
        (
            Turn(
                "Compare rainfall in Hamburg and München in 2024.",
                "query_sql",
                '{"sql": "SELECT station, sum(rain_mm) FROM daily WHERE year=2024 GROUP BY station"}',
                '{"rows": [["hamburg", 871.2], ["muenchen", 994.6]]}',
                "| Station | 2024 |\n|---|---|\n| Hamburg | 871 mm |\n| München | 995 mm |\n\nMünchen had 14 % more.",
            ),
        ),
    ),
)

AGENTS = (SUPPORT, RESEARCH)
USERS = ("alice", "bob", "chen", "dana", "emil", "fatima", "goran", "hana")
