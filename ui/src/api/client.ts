/** The one way to the server. Every failure becomes an `ApiError` with the server's own words. */

const BASE = "/api/twinlens/v1";

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

type Value = string | number | boolean | null | undefined;
export type Params = Readonly<Record<string, Value | readonly string[]>>;

/** `path` segments given as values are escaped: `url("/projects", id, "traces")`. */
export function url(...segments: readonly string[]): string {
  return segments.map((s, i) => (i === 0 ? s : `/${encodeURIComponent(s)}`)).join("");
}

export function withParams(path: string, params?: Params): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params ?? {})) {
    if (value === undefined || value === null || value === "") continue;
    if (Array.isArray(value)) for (const one of value) query.append(name, one);
    else query.set(name, String(value));
  }
  const text = query.toString();
  return `${BASE}${path}${text ? `?${text}` : ""}`;
}

async function send<T>(
  method: string,
  path: string,
  params?: Params,
  body?: unknown,
  signal?: AbortSignal,
): Promise<T> {
  let response: Response;
  try {
    response = await fetch(withParams(path, params), {
      method,
      headers:
        body === undefined
          ? { accept: "application/json" }
          : { accept: "application/json", "content-type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: signal ?? null,
      credentials: "same-origin",
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError("The server does not answer. Is `twinlens serve` still running?", 0, "Unreachable");
  }
  if (!response.ok) throw await failure(response);
  if (response.status === 204) return undefined as T;
  return (await response.json()) as T;
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
  get: <T>(path: string, params?: Params, signal?: AbortSignal) => send<T>("GET", path, params, undefined, signal),
  post: <T>(path: string, body: unknown) => send<T>("POST", path, undefined, body),
  patch: <T>(path: string, body: unknown) => send<T>("PATCH", path, undefined, body),
  delete: <T>(path: string) => send<T>("DELETE", path),
};
