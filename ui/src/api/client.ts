/** The one way to the server, typed by its OpenAPI document. Every failure becomes an `ApiError` with the server's own words. */
import type { paths } from "./schema.gen";

const BASE = "/api/twinlens/v1";

type Routes = { [P in keyof paths as P extends `${typeof BASE}${infer Route}` ? Route : never]: paths[P] };
type Method = "get" | "post" | "put" | "patch" | "delete";
/** Routes that know a method. */
type RouteOf<M extends Method> = { [R in keyof Routes]: Routes[R] extends Record<M, object> ? R : never }[keyof Routes];
type Operation<R extends keyof Routes, M extends Method> = NonNullable<Routes[R][M & keyof Routes[R]]>;
type Json<T> = T extends { content: { "application/json": infer B } } ? B : undefined;
type Answer<O> = O extends { responses: infer A } ? Json<A[keyof A & (200 | 201 | 204)]> : never;
type PathParams<O> = O extends { parameters: { path: infer P } } ? P : undefined;
type Query<O> = O extends { parameters: { query?: infer Q } } ? Q : undefined;
type Body<O> = O extends { requestBody: infer B } ? Json<B> : undefined;

type Options<O> = { readonly signal?: AbortSignal; readonly query?: Query<O> } & (PathParams<O> extends object
  ? { readonly path: PathParams<O> }
  : { readonly path?: undefined }) &
  (Body<O> extends object ? { readonly body: Body<O> } : { readonly body?: undefined });

export class ApiError extends Error {
  constructor(
    message: string,
    readonly status: number,
    readonly kind: string,
    readonly position: number | null = null,
    readonly suggestion: string | null = null,
  ) {
    super(message);
    this.name = "ApiError";
  }
}

/** `/projects/{project_id}/live` with its parameters filled in and escaped. */
export function address(route: string, path: object = {}, query: object = {}): string {
  const values = path as Record<string, string>;
  const filled = route.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(values[name] ?? ""));
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined || value === null || value === "") continue;
    if (Array.isArray(value)) for (const one of value) params.append(name, String(one));
    else params.set(name, String(value));
  }
  const text = params.toString();
  return `${BASE}${filled}${text ? `?${text}` : ""}`;
}

interface Request {
  readonly path?: object;
  readonly query?: object;
  readonly body?: unknown;
  readonly signal?: AbortSignal;
}

async function send(method: string, route: string, { path, query, body, signal }: Request): Promise<unknown> {
  let response: Response;
  try {
    response = await fetch(address(route, path, query), {
      method,
      headers: {
        accept: "application/json",
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: signal ?? null,
      credentials: "same-origin",
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError("The server does not answer. Is `twinlens serve` still running?", 0, "Unreachable");
  }
  if (!response.ok) throw await failure(response);
  return response.status === 204 ? undefined : await response.json();
}

async function failure(response: Response): Promise<ApiError> {
  const body: unknown = await response.json().catch(() => null);
  const field = (name: string): unknown =>
    typeof body === "object" && body !== null ? (body as Record<string, unknown>)[name] : undefined;
  const message = field("message") ?? field("detail") ?? `${response.status} ${response.statusText}`;
  const position = field("position");
  const suggestion = field("suggestion");
  return new ApiError(
    String(message),
    response.status,
    String(field("error") ?? "Error"),
    typeof position === "number" ? position : null,
    typeof suggestion === "string" ? suggestion : null,
  );
}

export const api = {
  get: <R extends RouteOf<"get">>(route: R, options: Options<Operation<R, "get">>) =>
    send("GET", route, options as Request) as Promise<Answer<Operation<R, "get">>>,
  post: <R extends RouteOf<"post">>(route: R, options: Options<Operation<R, "post">>) =>
    send("POST", route, options as Request) as Promise<Answer<Operation<R, "post">>>,
  put: <R extends RouteOf<"put">>(route: R, options: Options<Operation<R, "put">>) =>
    send("PUT", route, options as Request) as Promise<Answer<Operation<R, "put">>>,
  patch: <R extends RouteOf<"patch">>(route: R, options: Options<Operation<R, "patch">>) =>
    send("PATCH", route, options as Request) as Promise<Answer<Operation<R, "patch">>>,
  delete: <R extends RouteOf<"delete">>(route: R, options: Options<Operation<R, "delete">>) =>
    send("DELETE", route, options as Request) as Promise<Answer<Operation<R, "delete">>>,
};
