"""Data sets from files: every MovieLens vintage, any CSV, complaints that say where and what."""

from __future__ import annotations

import gzip
import math
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.datasets import Dataset, concatenate, load, scale_of
from recommender.errors import InvalidData

RATINGS = "userId,movieId,rating,timestamp\n1,10,4.0,964982703\n2,10,0.5,964982704\n1,20,3.5,100\n"
MOVIES = (
    "movieId,title,genres\n"
    "10,Toy Story (1995),Adventure|Children\n"
    '20,"City of Lost Children, The (1995)",Fantasy\n'
    "30,Something Unnumbered,(no genres listed)\n"
    '40,"He said ""no"" (2001– )",Drama\n'
)


def movielens_folder(folder: Path) -> Path:
    folder.mkdir()
    (folder / "ratings.csv").write_text(RATINGS)
    (folder / "movies.csv").write_text(MOVIES, encoding="utf-8")
    (folder / "links.csv").write_text("movieId,imdbId\n10,1\n")
    return folder


def written(tmp_path: Path, content: str, name: str = "ratings.csv") -> Path:
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    return path


def rows(dataset: Dataset) -> list[tuple[str, str, float, float]]:
    return list(
        zip(
            dataset.users.to_pylist(),
            dataset.items.to_pylist(),
            dataset.ratings.tolist(),
            dataset.timestamps.tolist(),
            strict=True,
        )
    )


EXPECTED = [("1", "10", 4.0, 964982703), ("2", "10", 0.5, 964982704), ("1", "20", 3.5, 100)]


def test_movielens_folder(tmp_path: Path) -> None:
    dataset = load(movielens_folder(tmp_path / "ml-tiny"))

    assert dataset.name == "ml-tiny"
    assert rows(dataset) == EXPECTED
    assert (dataset.rating_min, dataset.rating_max) == (0.5, 5.0)
    assert dataset.ratings.dtype == np.float32
    assert dataset.timestamps.dtype == np.float64
    assert dataset.catalogue == [
        {
            "item": "10",
            "title": "Toy Story (1995)",
            "attributes": {"genres": ["Adventure", "Children"], "year": 1995},
        },
        {
            "item": "20",
            "title": "City of Lost Children, The (1995)",
            "attributes": {"genres": ["Fantasy"], "year": 1995},
        },
        {"item": "30", "title": "Something Unnumbered", "attributes": {"genres": []}},
        {
            "item": "40",
            "title": 'He said "no" (2001– )',
            "attributes": {"genres": ["Drama"], "year": 2001},
        },
    ]


def test_movielens_zip_with_its_folder_inside(tmp_path: Path) -> None:
    folder = movielens_folder(tmp_path / "ml-tiny")
    path = tmp_path / "ml-tiny.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.iterdir()):
            archive.write(file, f"ml-tiny/{file.name}")

    dataset = load(path)

    assert dataset.name == "ml-tiny"
    assert rows(dataset) == EXPECTED
    assert len(dataset.catalogue) == 4


def test_movielens_1m_with_double_colons_and_latin_1(tmp_path: Path) -> None:
    (tmp_path / "ratings.dat").write_text("1::1193::5::978300760\n2::661::3::978302109\n")
    (tmp_path / "movies.dat").write_bytes(
        "73::Misérables, Les (1995)::Drama|Musical\n".encode("latin-1")
    )

    dataset = load(tmp_path)

    assert rows(dataset) == [("1", "1193", 5.0, 978300760), ("2", "661", 3.0, 978302109)]
    assert (dataset.rating_min, dataset.rating_max) == (0.5, 5.0)
    assert dataset.catalogue == [
        {
            "item": "73",
            "title": "Misérables, Les (1995)",
            "attributes": {"genres": ["Drama", "Musical"], "year": 1995},
        }
    ]


def test_movielens_100k(tmp_path: Path) -> None:
    (tmp_path / "u.data").write_text("196\t242\t3\t881250949\n186\t302\t3\t891717742\n")
    (tmp_path / "u.genre").write_text("unknown|0\nAction|1\nWar|2\n\n")
    (tmp_path / "u.item").write_text("242|Kolya (1996)|24-Jan-1997||http://x|0|1|1\n")

    dataset = load(tmp_path)

    assert rows(dataset) == [("196", "242", 3.0, 881250949), ("186", "302", 3.0, 891717742)]
    assert dataset.catalogue[0]["attributes"] == {"genres": ["Action", "War"], "year": 1996}


@pytest.mark.parametrize(
    "content",
    [
        "USER,Item,Rating\na,x,3\nb,y,7.5\n",
        "rating;extra;item_id;user_id\n3;?;x;a\n7.5;?;y;b\n",
        "userId\tMovieId\trating\r\na\tx\t3\r\nb\ty\t7.5\r\n",
        "a,x,3\nb,y,7.5\n",
        "\ufeffuser,item,rating\na,x,3\nb,y,7.5",
        '"user","item","rating"\n"a","x","3"\n"b","y","7.5"\n',
    ],
    ids=["case", "order-and-extra", "tabs-crlf", "no-header", "byte-order-mark", "quoted"],
)
def test_any_delimited_file(tmp_path: Path, content: str) -> None:
    dataset = load(written(tmp_path, content, "mine.csv"))

    # no times in the file: the row number stands for them
    assert rows(dataset) == [("a", "x", 3.0, 0.0), ("b", "y", 7.5, 1.0)]
    assert dataset.name == "mine"
    assert dataset.catalogue == []
    assert (dataset.rating_min, dataset.rating_max) == (3.0, 7.5)


def test_gzip(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv.gz"
    path.write_bytes(gzip.compress(RATINGS.encode()))

    assert rows(load(path)) == EXPECTED


def test_ids_stay_text(tmp_path: Path) -> None:
    ids = ["007", "1.0", "1e5", "NA", "null", "é–ß", "9" * 400, "a,b"]
    lines = "".join(f'"{name}",x,1\n' for name in ids)

    dataset = load(written(tmp_path, "user,item,rating\n" + lines + "z,x,2\n"))

    assert dataset.users.to_pylist() == [*ids, "z"]


def test_times_as_dates(tmp_path: Path) -> None:
    content = (
        "user,item,rating,timestamp\na,x,3,1970-01-02T00:00:00Z\nb,y,4,1970-01-01T00:00:01.5Z\n"
    )

    assert load(written(tmp_path, content)).timestamps.tolist() == [86400.0, 1.5]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("user,item,rating\na,x,3\nb,y,good\n", r"line 3, column rating: 'good' .*finite number"),
        ("user,item,rating\na,x,nan\n", r"line 2, column rating: 'nan' .*finite number"),
        ("user,item,rating\na,x,1e39\n", r"line 2, column rating: '1e39'"),
        ("user,item,rating\na,x,3\n\n,y,4\n", r"line 4, column user: '' .*not empty"),
        ("user,item,rating\na,x,3\nb,y\n", r"line 3: has 2 fields; expected 3"),
        ("user,item,rating,timestamp\na,x,3,\n", r"line 2, column timestamp: '' .*ISO 8601"),
        ("user,item,rating,timestamp\na,x,3,soon\n", r"line 2, column timestamp: 'soon'"),
        ("user,stars\na,3\n", r"line 1: no column for the item among 'user', 'stars'"),
        ("user,userId,item,rating\na,a,x,3\n", r"'user' and 'userId' both mean the user"),
        ("user,item,rating\n", r"holds no ratings"),
        ("", r"line 1: is empty"),
    ],
)
def test_complaints_name_line_column_and_value(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(InvalidData, match=message) as caught:
        load(written(tmp_path, content, "wrong.csv"))
    assert str(caught.value).startswith("wrong.csv")


def test_text_that_is_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "latin.csv"
    path.write_bytes("user,item,rating\né,x,3\n".encode("latin-1"))

    with pytest.raises(InvalidData, match="UTF-8"):
        load(path)


def test_a_path_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(InvalidData, match=r"nowhere\.csv: does not exist"):
        load(tmp_path / "nowhere.csv")


def test_a_folder_without_ratings(tmp_path: Path) -> None:
    written(tmp_path, "a", "one.csv")
    written(tmp_path, "a", "two.csv")

    with pytest.raises(InvalidData, match="2 found"):
        load(tmp_path)


def test_broken_archive(tmp_path: Path) -> None:
    path = tmp_path / "broken.csv.gz"
    path.write_bytes(gzip.compress(RATINGS.encode())[:-12])

    with pytest.raises(InvalidData):
        load(path)


@pytest.mark.parametrize(
    ("ratings", "scale"),
    [
        ([1, 5, 3], (1, 5)),
        ([0.5, 4.5], (0.5, 4.5)),
        ([1.2, 98.7], (1, 99)),
        ([-9.99, 9.99], (-10, 10)),
        ([1, 1], (0, 1)),
        ([0, 0], (0, 1)),
    ],
)
def test_scale_of(ratings: list[float], scale: tuple[float, float]) -> None:
    assert scale_of(np.array(ratings, dtype=np.float32)) == scale


def test_movielens_headers_beyond_its_scale_keep_their_own(tmp_path: Path) -> None:
    dataset = load(written(tmp_path, "userId,movieId,rating\n1,1,1\n1,2,10\n"))

    assert (dataset.rating_min, dataset.rating_max) == (1, 10)


def dataset_of(
    users: list[str], items: list[str], timestamps: list[float] | None = None
) -> Dataset:
    n = len(users)
    return Dataset(
        name="mine",
        users=pa.array(users, pa.string()).dictionary_encode(),
        items=pa.array(items, pa.string()).dictionary_encode(),
        ratings=np.arange(n, dtype=np.float32),
        timestamps=np.array(timestamps if timestamps is not None else range(n), dtype=np.float64),
    )


def test_order_by_time_keeps_ties_in_file_order() -> None:
    dataset = dataset_of(list("abcde"), list("vwxyz"), [5, 1, 5, 0, 1])

    assert dataset.by_time().tolist() == [3, 1, 4, 0, 2]


def test_unequal_columns_are_refused() -> None:
    with pytest.raises(ValueError, match="unequal"):
        dataset_of(list("abc"), list("xy"))


def test_ratings_read_in_many_chunks_share_one_dictionary(tmp_path: Path) -> None:
    n = 200_000  # several of pyarrow's blocks of 1 MB
    content = "user,item,rating\n" + "".join(f"u{k % 977},i{k % 1009},{k % 5}\n" for k in range(n))

    indexed = load(written(tmp_path, content)).indexed()

    assert indexed.users.tolist() == [k % 977 for k in range(n)]
    assert indexed.items.tolist() == [k % 1009 for k in range(n)]
    assert indexed.user_ids.to_pylist() == [f"u{k}" for k in range(977)]


ids = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=3)


@given(st.lists(st.tuples(ids, ids), min_size=1, max_size=30), st.data())
def test_codes_count_up_by_first_appearance(
    pairs: list[tuple[str, str]], data: st.DataObject
) -> None:
    users, items = [list(side) for side in zip(*pairs, strict=True)]
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(pairs), max_size=len(pairs))))

    taken = dataset_of(users, items).take(mask)
    indexed = taken.indexed()

    kept = [user for user, keep in zip(users, mask, strict=True) if keep]
    distinct = list(dict.fromkeys(kept))
    assert taken.users.to_pylist() == kept
    assert indexed.user_ids.to_pylist() == distinct
    assert indexed.users.tolist() == [distinct.index(user) for user in kept]
    assert taken.ratings.tolist() == np.flatnonzero(mask).tolist()


def test_concatenate() -> None:
    whole = concatenate(dataset_of(["a", "b"], ["x", "y"]), dataset_of(["c", "a"], ["y", "z"]))

    assert whole.users.to_pylist() == ["a", "b", "c", "a"]
    assert whole.items.to_pylist() == ["x", "y", "y", "z"]
    assert not math.isnan(whole.ratings.sum())
