"""MLflow's search grammar."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinlens.domain.errors import InvalidArgument
from twinlens.query.mlflow_filter import MAX_DEPTH, Clause, parse_filter, parse_order_by
from twinlens.query.mlflow_filter_runs import experiment_filter, experiment_order, run_filter, run_order
from twinlens.store.telemetry.query import And, Cmp, Expr, Not, Or, Order


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("metrics.acc > 0.5", Cmp("metric", ">", 0.5, "acc")),
        ("metric.acc>=1", Cmp("metric", ">=", 1.0, "acc")),
        ("metrics.`val acc` <= -1e-3", Cmp("metric", "<=", -0.001, "val acc")),
        ('metrics."val/acc" <> 2', Cmp("metric", "!=", 2.0, "val/acc")),
        ("params.lr = '0.1'", Cmp("param", "=", "0.1", "lr")),
        ('parameters.lr != "0.1"', Cmp("param", "!=", "0.1", "lr")),
        ("params.a/b-c LIKE 'it''s%'", Cmp("param", "like", "it's%", "a/b-c")),
        ("param.x IS NULL", Cmp("param", "is null", None, "x")),
        ("tags.mlflow.source.type is not null", Cmp("tag", "is not null", None, "mlflow.source.type")),
        ("tag.x ILIKE '%A%'", Cmp("tag", "ilike", "%A%", "x")),
        ("status = 'FINISHED'", Cmp("status", "=", "FINISHED")),
        ("attributes.`Run name` = 'a'", Cmp("name", "=", "a")),
        ("attr.created > 5", Cmp("start_ms", ">", 5)),
        ("run.end_time < 5", Cmp("end_ms", "<", 5)),
        ("run_id IN ('a', 'b')", Cmp("run_id", "in", ["a", "b"])),
        ("run_id not in ('a')", Cmp("run_id", "not in", ["a"])),
        ("dataset.name = 'd'", Cmp("dataset_name", "=", "d")),
        ("datasets.context IN ('train')", Cmp("dataset_context", "in", ["train"])),
        ("", And()),
        ("  ", And()),
    ],
)
def test_a_clause_names_field_operator_and_value(text: str, expected: Expr) -> None:
    assert run_filter(text) == expected


def test_not_binds_closer_than_and_and_and_closer_than_or() -> None:
    a, b, c = Cmp("status", "=", "A"), Cmp("status", "=", "B"), Cmp("status", "=", "C")
    assert run_filter("status='A' OR status='B' and not status='C'") == Or((a, And((b, Not(c)))))
    assert run_filter("(status='A' or status='B') AND status='C'") == And((Or((a, b)), c))


@pytest.mark.parametrize(
    "text",
    [
        "foo", "metrics.acc", "metrics.acc >", "> 5", "metrics.acc > 'x'", "params.lr = 0.1", "metrics.acc LIKE 'x'",
        "bogus.key = 1", "attributes.bogus = 'x'", "status = 'A' foo", "status = 'A' AND", "(status = 'A'",
        "status = 'A')", "run_id IN ()", "run_id IN ('a'", "run_id IN 'a'", "name = 'x' status = 'y'", "status = 'x",
        "status IN ('A')", "start_time = '5'", "metrics.acc IS NULL", "status IS NULL", "dataset.bogus = 'x'",
        "params. = 'x'", ".x = 'y'", "status == 'A'", "status = A", "1 = 1", "AND", "NOT", "tags.a RLIKE 'x'", "\x00",
        "metrics.acc > 0.5; DROP TABLE runs", "metrics.acc > 0.5 -- x",
    ],
)  # fmt: skip
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument):
        run_filter(text)


def test_depth_and_length_are_bounded() -> None:
    deep = "(" * MAX_DEPTH + "status='A'" + ")" * MAX_DEPTH
    assert run_filter(deep) == Cmp("status", "=", "A")
    for text in ("(" + deep + ")", "NOT " * 5_000 + "status='A'", "(" * 50_000, "status = '" + "x" * 200_000 + "'"):
        with pytest.raises(InvalidArgument):
            run_filter(text)


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ("metrics.acc DESC", Order("metric", True, "acc")),
        ("metrics.`a b` asc", Order("metric", False, "a b")),
        ("params.x", Order("param", False, "x")),
        ("tags.`mlflow.runName`", Order("tag", False, "mlflow.runName")),
        ("attribute.start_time DESC", Order("start_ms", True)),
        ("created", Order("start_ms", False)),
        ("attributes.run name desc", Order("name", True)),
        ("run_id", Order("run_id", False)),
    ],
)
def test_an_order_names_field_and_direction(item: str, expected: Order) -> None:
    assert run_order([item]) == (expected,)


@pytest.mark.parametrize(
    "items", [["bogus"], ["metrics.a b c"], ["metrics.acc UP"], [""], ["start_time", "created DESC"]]
)
def test_a_wrong_or_repeated_order_is_refused(items: list[str]) -> None:
    with pytest.raises(InvalidArgument):
        run_order(items)


def test_experiments_have_their_own_words() -> None:
    assert experiment_filter("name LIKE 'a%' AND tags.x = 'y'") == And(
        (Cmp("name", "like", "a%"), Cmp("tag", "=", "y", "x"))
    )
    assert experiment_filter("attribute.last_update_time >= 5") == Cmp("updated_ms", ">=", 5)
    assert experiment_order(["name", "experiment_id DESC"]) == (Order("name", False), Order("experiment_id", True))
    for text in ("metrics.a > 1", "status = 'x'", "name > 5"):
        with pytest.raises(InvalidArgument):
            experiment_filter(text)
    with pytest.raises(InvalidArgument):
        experiment_order(["tags.x"])


# --- properties --------------------------------------------------------------------------------------------------

_keys = st.text(st.characters(codec="utf-8", exclude_characters="`\x00", exclude_categories=["Cs"]), min_size=1).filter(
    lambda key: key.strip() == key and not (len(key) > 1 and key[0] == key[-1] == '"')
)
_texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=20)


@given(_keys, _texts)
def test_whatever_is_quoted_arrives_unchanged(key: str, value: str) -> None:
    quoted = value.replace("'", "''")
    assert run_filter(f"params.`{key}` = '{quoted}'") == Cmp("param", "=", value, key)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_arrive_unchanged(value: float) -> None:
    assert run_filter(f"metrics.a < {value!r}") == Cmp("metric", "<", value, "a")


_leaf = st.sampled_from(["status = 'A'", "metrics.a > 1", "params.`b c` IS NULL"])
_tree = st.recursive(
    _leaf.map(lambda text: (text, run_filter(text))),
    lambda inner: st.one_of(
        inner.map(lambda one: (f"NOT ({one[0]})", Not(one[1]))),
        st.tuples(inner, inner).map(lambda two: (f"({two[0][0]}) AND ({two[1][0]})", And((two[0][1], two[1][1])))),
        st.tuples(inner, inner).map(lambda two: (f"({two[0][0]}) or ({two[1][0]})", Or((two[0][1], two[1][1])))),
    ),
    max_leaves=12,
)


@given(_tree)
def test_a_written_tree_is_read_back(tree: tuple[str, Expr]) -> None:
    text, expected = tree
    assert run_filter(text) == expected


@given(
    st.text(max_size=60)
    | st.lists(
        st.sampled_from(["(", ")", "'", '"', "`", ".", ",", "=", "<", ">", "!", "AND", "OR", "NOT", "IN", "a", "1"])
    ).map(" ".join)
)
def test_no_text_breaks_the_reader(text: str) -> None:
    def resolve(clause: Clause) -> Expr:
        return Cmp(clause.key, "=", clause.value)

    for read in (lambda: parse_filter(text, resolve), lambda: parse_order_by(text)):
        with contextlib.suppress(InvalidArgument):
            read()
