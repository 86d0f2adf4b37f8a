"""GraphQL over HTTP: one request to one answer."""

from __future__ import annotations

from functools import partial
from typing import Any

import flask
from graphql import ExecutionResult, GraphQLSchema, OperationDefinitionNode, OperationType

from etgraph.api.access import Audit, TeamStore, Tokens, view_of
from etgraph.api.context import Context, Viewer
from etgraph.api.errors import BadRequest, CostExceeded, Forbidden, RateExceeded, Unauthenticated
from etgraph.api.http import idempotency
from etgraph.api.http.answers import CACHED_ROOTS, Answer, Answers, Kept, encoded, key_of
from etgraph.api.http.execution import coerced, execute, too_large
from etgraph.api.http.failures import codes_of, documents_of, documents_of_fields
from etgraph.api.http.idempotency import IdempotencyKeys
from etgraph.api.http.metrics import Metrics
from etgraph.api.http.negotiation import GRAPHQL, JSON, content_encoding, media_type
from etgraph.api.http.persisted import PersistedQueries
from etgraph.api.http.reads import Reads
from etgraph.api.http.request import Asked, asked_by
from etgraph.api.http.viewers import ViewerOf, challenge
from etgraph.api.jobs.queue import Queue
from etgraph.api.limits import Documents, Validated
from etgraph.api.limits.cost import cost_of
from etgraph.api.limits.fragments import fields_of, innermost_first
from etgraph.api.limits.rates import Rates
from etgraph.api.settings import Settings
from etgraph.api.shared import Once, Shared
from etgraph.model.cancelling import deadline
from etgraph.model.errors import EtgraphError, UsageError
from etgraph.store import Store

METHODS = ("GET", "POST")


class GraphQLView:
    """Answers GraphQL requests over a store, within the settings' limits."""

    def __init__(
        self,
        store: Store,
        schema: GraphQLSchema,
        settings: Settings,
        viewer_of: ViewerOf,
        metrics: Metrics,
        *,
        tokens: Tokens,
        audit: Audit,
        queue: Queue,
    ) -> None:
        self.view_of = partial(view_of, store)
        self.tokens = tokens
        self.audit = audit
        self.queue = queue
        self.schema = schema
        self.limits = settings.limits
        self.viewer_of = viewer_of
        self.metrics = metrics
        self.documents = Documents(schema, settings.limits, settings.documents_bytes)
        self.persisted = PersistedQueries(settings.persisted_bytes)
        self.answers = Answers(settings.answers_bytes)
        self.shared = Shared(Once(settings.results_bytes), Once(settings.traces_bytes))
        self.rates = Rates(settings.requests_a_second, settings.cost_a_second)
        self.keys = IdempotencyKeys(settings.mutations_bytes, settings.idempotency_ns / 1e9)

    def __call__(self) -> flask.Response:
        """The response to Flask's current request."""
        request, media, encoding = flask.request, JSON, "identity"
        try:
            media = media_type(request.headers.get("Accept"))
            encoding = content_encoding(request.headers.get("Accept-Encoding"))
            viewer = self.viewer_of(request)
            flask.g.fields["viewer"] = viewer.name
            if viewer.token is not None:
                flask.g.fields["token"] = viewer.token
            self.rates.take(viewer, "requests", 1)
            with deadline(self.limits.deadline_s):
                answer = self._answered(request, viewer)
        except Exception as error:
            return self._failed(error, media)
        return _sent(request, answer, media, encoding)

    def _answered(self, request: flask.Request, viewer: Viewer) -> Answer:
        """The answer to a request that can be executed; raises for others."""
        asked = asked_by(request)
        valid = self.documents.get(self.persisted.text_of(asked))
        self.persisted.keep(asked)
        operation = valid.operation(asked.operation)
        flask.g.fields |= {
            "document": valid.hash[:16],
            "operation": operation.name.value if operation.name else None,
            "type": operation.operation.value,
        }
        if operation.operation is OperationType.QUERY:
            return self._query(asked, valid, operation, viewer)
        if asked.read_only:
            raise BadRequest(
                f"a {operation.operation.value} is sent by POST", status=405, headers={"Allow": "POST, OPTIONS"}
            )
        if operation.operation is not OperationType.MUTATION:
            raise UsageError("subscriptions are not supported")
        return self._mutation(asked, valid, operation, viewer, request)

    def _query(self, asked: Asked, valid: Validated, operation: OperationDefinitionNode, viewer: Viewer) -> Answer:
        """The answer to a query: the bytes of last time where they still hold."""
        key = key_of(valid.hash, asked.operation, asked.variables, viewer)
        store = self.view_of(viewer)
        kept = self.answers.get(key, store)
        self.metrics.answers.labels("executed" if kept is None else "kept").inc()
        flask.g.fields["kept"] = kept is not None
        if kept is not None:
            flask.g.fields["cost"] = kept.cost
            return kept.answer
        reads = Reads(store)
        cost = self._cost(asked, valid, operation, viewer)
        result = self._executed(asked, valid, operation, viewer, reads.store)
        answer = self._answer(result, cost, lasting=_is_lasting(valid, operation) and not result.errors)
        if answer.lasting and reads.lasting:
            self.answers.put(key, Kept(answer, tuple(reads.seen.values()), cost))
            return answer
        return Answer(answer.body)

    def _mutation(
        self,
        asked: Asked,
        valid: Validated,
        operation: OperationDefinitionNode,
        viewer: Viewer,
        request: flask.Request,
    ) -> Answer:
        """The answer to a mutation; with a key that came before, that of the first time."""
        cost = self._cost(asked, valid, operation, viewer)
        key = request.headers.get(idempotency.HEADER)
        if key is None:
            return self._answer(self._executed(asked, valid, operation, viewer, self.view_of(viewer)), cost)
        with self.keys.once(key, viewer, request.get_data(cache=True)) as once:
            if once.answer is None:
                result = self._executed(asked, valid, operation, viewer, self.view_of(viewer))
                once.answer = self._answer(result, cost)
            else:
                flask.g.headers[idempotency.REPLAYED] = "true"
            return once.answer

    def _cost(self, asked: Asked, valid: Validated, operation: OperationDefinitionNode, viewer: Viewer) -> int:
        """What an operation costs. Raises InvalidDocument for variables that do not fit, CostExceeded, RateExceeded."""
        cost = cost_of(self.schema, valid.document, operation, coerced(self.schema, operation, asked.variables))
        flask.g.fields["cost"] = cost
        if cost > self.limits.cost:
            raise CostExceeded(
                f"the operation costs {cost:,}, {self.limits.cost:,} is allowed",
                hint="ask for fewer rows (first) or fewer fields",
            )
        self.rates.take(viewer, "cost", cost)
        return cost

    def _executed(
        self, asked: Asked, valid: Validated, operation: OperationDefinitionNode, viewer: Viewer, store: TeamStore
    ) -> ExecutionResult:
        context = Context(
            store, viewer, flask.g.request_id, self.limits, self.tokens, self.audit, self.queue, self.shared
        )
        return execute(self.schema, valid, operation, asked.variables, context)

    def _answer(self, result: ExecutionResult, cost: int, *, lasting: bool = False) -> Answer:
        """The bytes of a result. Raises CostExceeded where they are too many."""
        found: dict[str, Any] = {}
        extensions: dict[str, Any] = {"cost": cost}
        if result.errors:
            found["errors"] = documents_of_fields(result.errors, flask.g.request_id)
            extensions["requestId"] = flask.g.request_id
            self._count(found["errors"])
        body = encoded(found | {"data": result.data, "extensions": extensions})
        if len(body) > self.limits.response_bytes:
            raise too_large(self.limits.response_bytes)
        return Answer(body, lasting)

    def _failed(self, error: Exception, media: str) -> flask.Response:
        """The response to a request that was not executed, or not to its end.

        JSON without more is older than statuses for errors of GraphQL: what concerns HTTP itself has its own there,
        everything else 200.
        """
        errors = documents_of(error, flask.g.request_id)
        self._count(errors)
        extensions: dict[str, Any] = {"requestId": flask.g.request_id}
        if "cost" in flask.g.fields:
            extensions["cost"] = flask.g.fields["cost"]
        status = error.http_status if isinstance(error, EtgraphError) else 500
        if media == JSON and not isinstance(error, (BadRequest, Forbidden, RateExceeded, Unauthenticated)):
            status = 200
        response = flask.Response(encoded({"errors": errors, "extensions": extensions}), status)
        if isinstance(error, (BadRequest, RateExceeded)):
            response.headers.update(error.headers)
        response.headers.update(challenge(error, flask.request))
        return _typed(response, media)

    def _count(self, errors: list[dict[str, Any]]) -> None:
        codes = codes_of(errors)
        flask.g.fields["codes"] = codes
        for code in codes:
            self.metrics.errors.labels(code).inc()


def _is_lasting(valid: Validated, operation: OperationDefinitionNode) -> bool:
    """Whether every root field of a query is one whose answer follows from traces."""
    fragments = {fragment.name.value: fragment for fragment in innermost_first(valid.document)}
    stack = [operation.selection_set]
    while stack:
        for selection, _ in fields_of(stack.pop()):
            name = selection.name.value
            if selection.kind == "fragment_spread":
                stack.append(fragments[name].selection_set)
            elif name not in CACHED_ROOTS:
                return False
    return True


def _sent(request: flask.Request, answer: Answer, media: str, encoding: str) -> flask.Response:
    """The response that carries an answer: compressed where the client likes it, 304 where it has the same bytes."""
    packed = answer.packed if encoding == "gzip" else None
    response = flask.Response(answer.body if packed is None else packed)
    if packed is not None:
        response.headers["Content-Encoding"] = "gzip"
    _typed(response, media)
    if answer.lasting and request.method in ("GET", "HEAD"):
        # The catalogue may name another trace tomorrow: whoever keeps the answer has to ask whether it still holds.
        response.headers["Cache-Control"] = "private, no-cache"
        response.set_etag(answer.etag + _mark(media, packed))
        response.make_conditional(request)
    return response


def _mark(media: str, packed: bytes | None) -> str:
    """What tells representations of the same answer apart in their ETags."""
    return ("-g" if media == GRAPHQL else "") + ("-gzip" if packed is not None else "")


def _typed(response: flask.Response, media: str) -> flask.Response:
    response.headers["Content-Type"] = f"{media}; charset=utf-8"
    response.headers["Cache-Control"] = "no-store"
    response.vary.update(("Accept", "Accept-Encoding", "Authorization"))
    return response


__all__ = ["METHODS", "GraphQLView"]
