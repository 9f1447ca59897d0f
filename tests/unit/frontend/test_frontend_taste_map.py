"""Which colour a film has on the map, and which films are nearest."""

from __future__ import annotations

from frontend.answers import Coordinates, FilmMap, Place
from frontend.panels.taste_map import coloured, nearest


def place(item: str, x: float, y: float, *genres: str) -> Place:
    return Place(item=item, x=x, y=y, genres=list(genres))


def test_a_film_counts_for_the_rarest_of_its_common_genres() -> None:
    places = [
        place("1", 0, 0, "Drama"),
        place("2", 0, 0, "Drama", "War"),
        place("3", 0, 0, "Drama", "War", "Unheard"),
        place("4", 0, 0, "Unseen"),
        place("5", 0, 0),
    ]

    found = coloured(places, most=2)

    names = {genre: [film.item for film in films] for genre, films in found.items()}
    assert names == {"Drama": ["1"], "War": ["2", "3"], "other": ["4", "5"]}


def test_the_nearest_films_are_by_distance_in_the_plane() -> None:
    films = [place("far", 3, 4), place("near", 1, 1), place("nearest", 1, 0)]

    found = nearest(FilmMap(items=films, user=Coordinates(x=0, y=0)), n=2)

    assert [film.item for film in found] == ["nearest", "near"]
    assert nearest(FilmMap(items=films)) == []
