"""Sentences of the word problems: what may happen to a number of things, by theme.

`{n}` and `{m}` are numbers; the other fields are words, drawn once for a whole story.
"""

from __future__ import annotations

from dataclasses import dataclass

NAMES = (
    *("Mia", "Ben", "Lena", "Omar", "Ivy", "Tom", "Sara", "Noah", "Zoe", "Amir", "Clara", "Hugo", "Nina", "Paul"),
    *("Ruth", "Sam", "Tara", "Victor", "Wendy", "Yusuf", "Anna", "Carl", "Dora", "Eli", "Fatima", "George", "Hana"),
    *("Ivan", "Julia", "Kofi", "Lucy", "Marco", "Olga", "Peter", "Rosa", "Simon"),
)
THINGS = (
    *("apples", "marbles", "stickers", "stamps", "shells", "cards", "pencils", "books", "coins", "beads", "buttons"),
    *("stones", "postcards", "balloons", "cookies", "crayons", "ribbons", "magnets", "badges", "nuts", "pictures"),
)
GOODS = ("rolls", "muffins", "lamps", "chairs", "cups", "hats", "pens", "candles", "melons", "plants", "shirts", "eggs")
ANIMALS = ("sheep", "hens", "ducks", "goats", "rabbits", "horses", "geese", "cows", "pigs")
PLACES = ("station", "market", "school", "museum", "bridge", "park", "harbour", "library", "castle", "hospital")
WORDS = {
    "things": THINGS,
    "goods": GOODS,
    "animals": ANIMALS,
    "vehicle": ("bus", "train", "ferry", "tram"),
    "shop": ("shop", "store", "market stall", "warehouse"),
    "job": ("washing cars", "raking leaves", "walking dogs", "painting a fence", "selling lemonade"),
    "item": ("a book", "a ball", "a scarf", "lunch", "a game", "a plant", "a present"),
}


@dataclass(frozen=True)
class Theme:
    """The sentences of one theme; each describes one kind of event, and the number it starts with or leads to.

    Attributes:
        start: there are n.
        packed: there are m times n.
        gain, loss: n more, n fewer.
        packs, handed: m times n more, m times n fewer.
        times: m times as many.
        share: one of m equal parts is left.
        ask: the question.
    """

    start: tuple[str, ...]
    packed: tuple[str, ...]
    gain: tuple[str, ...]
    loss: tuple[str, ...]
    packs: tuple[str, ...]
    handed: tuple[str, ...]
    times: tuple[str, ...]
    share: tuple[str, ...]
    ask: tuple[str, ...]


THEMES = (
    Theme(
        ("{who} has {n} {things}.", "{who} starts with {n} {things}.", "There are {n} {things} in the bag of {who}."),
        ("{who} has {m} boxes with {n} {things} in each box.", "{who} owns {m} bags of {n} {things}."),
        ("{friend} gives {who} {n} more {things}.", "{who} finds {n} more {things}.", "{who} buys {n} more {things}."),
        ("{who} gives {n} {things} to {friend}.", "{who} loses {n} {things}.", "{friend} borrows {n} {things}."),
        ("{who} buys {m} bags with {n} {things} in each bag.", "{m} friends give {who} {n} {things} each."),
        ("{who} gives {n} {things} to each of {m} friends.", "{who} fills {m} bags with {n} {things} and sells them."),
        ("By summer {who} has {m} times as many {things}.", "A month later {who} has {m} times as many {things}."),
        ("{who} puts the {things} evenly into {m} boxes and keeps only one box.",),
        ("How many {things} does {who} have now?", "How many {things} does {who} have in the end?"),
    ),
    Theme(
        ("{who} has {n} dollars.", "{who} has saved {n} dollars.", "There are {n} dollars in the purse of {who}."),
        ("{who} works {m} hours and earns {n} dollars an hour.", "{who} gets {n} dollars a week for {m} weeks."),
        ("{who} earns {n} dollars by {job}.", "{friend} gives {who} {n} dollars.", "{who} finds {n} dollars."),
        (
            "{who} spends {n} dollars on {item}.",
            "{who} lends {friend} {n} dollars.",
            "{who} pays {n} dollars.",
        ),
        ("{who} sells {m} {things} for {n} dollars each.", "{who} mows {m} lawns for {n} dollars each."),
        ("{who} buys {m} tickets for {n} dollars each.", "{who} buys {m} {things} that cost {n} dollars each."),
        ("A year later {who} has {m} times as much money.", "{who} saves until there is {m} times as much money."),
        ("{who} divides the money evenly among {m} children and is one of them.",),
        ("How many dollars does {who} have now?", "How much money does {who} have in the end, in dollars?"),
    ),
    Theme(
        ("A {vehicle} leaves with {n} passengers.", "There are {n} passengers on a {vehicle}."),
        (
            "A {vehicle} has {m} rows with {n} passengers in each row.",
            "{m} groups of {n} people fill a {vehicle}.",
        ),
        ("At the {place}, {n} people get on.", "{n} more people get on at the {place}."),
        ("At the {place}, {n} people get off.", "{n} passengers leave at the {place}."),
        ("At the {place}, {m} groups of {n} people get on.", "{m} families of {n} get on at the {place}."),
        ("At the {place}, {m} groups of {n} people get off.", "{m} families of {n} leave at the {place}."),
        ("At the {place} it fills up and has {m} times as many passengers.",),
        ("At the {place} the passengers move evenly to {m} taxis, and we follow one taxi.",),
        ("How many passengers are there now?", "How many passengers are on board at last?"),
    ),
    Theme(
        ("A {shop} has {n} {goods} in the morning.", "There are {n} {goods} in a {shop}."),
        ("A {shop} has {m} shelves with {n} {goods} on each shelf.", "A {shop} opens {m} boxes of {n} {goods}."),
        ("{n} more {goods} are delivered.", "{who} brings {n} more {goods}."),
        ("{who} buys {n} {goods}.", "The {shop} sells {n} {goods}.", "{n} {goods} are damaged and thrown away."),
        ("A truck brings {m} boxes of {n} {goods}.", "{m} workers bring {n} {goods} each."),
        ("{m} customers buy {n} {goods} each.", "The {shop} sells {m} bags of {n} {goods}."),
        ("A week later the {shop} has {m} times as many {goods}.",),
        ("The {goods} are sent evenly to {m} shops, and this {shop} is one of them.",),
        ("How many {goods} are there at last?", "How many {goods} does the {shop} have now?"),
    ),
    Theme(
        ("{who} has {n} {animals} on a farm.", "There are {n} {animals} in a field."),
        ("{who} has {m} barns with {n} {animals} in each barn.", "There are {m} fields with {n} {animals} each."),
        ("{who} buys {n} more {animals}.", "{n} young {animals} are born.", "{friend} brings {n} {animals}."),
        ("{who} sells {n} {animals}.", "{n} {animals} run away.", "{friend} takes {n} {animals}."),
        ("{m} neighbours bring {n} {animals} each.", "{who} buys {m} groups of {n} {animals}."),
        ("{m} neighbours take {n} {animals} each.", "{who} sells {m} groups of {n} {animals}."),
        ("Some years later there are {m} times as many {animals}.",),
        ("{who} divides the {animals} evenly among {m} farms and keeps one share.",),
        ("How many {animals} does {who} have now?", "How many {animals} are there at last?"),
    ),
    Theme(
        ("A tank holds {n} liters of water.", "There are {n} liters of water in a barrel."),
        ("{who} pours {m} buckets of {n} liters into an empty tank.",),
        ("{who} pours in {n} liters of water.", "Rain adds {n} liters of water."),
        ("{who} takes out {n} liters of water.", "{n} liters of water leak out."),
        ("{who} pours in {m} buckets of {n} liters.", "{m} hoses add {n} liters each."),
        ("{who} waters {m} trees with {n} liters each.", "{who} fills {m} cans of {n} liters from it."),
        ("After a storm there is {m} times as much water.",),
        ("The water is spread evenly over {m} tanks, and {who} keeps one of them.",),
        ("How many liters of water are there now?", "How many liters of water are there at last?"),
    ),
)
