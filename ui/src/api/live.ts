/**
 * What has just been committed, as it happens. One EventSource per page serves everybody on it: browsers allow six
 * connections to one host, so a hidden page closes its stream and tells its readers to reload when it comes back.
 */
import { useEffect, useRef, useSyncExternalStore } from "react";
import { address } from "./client";
import type { LiveEvent } from "./types";

export type LiveStatus = "off" | "connecting" | "live" | "reconnecting";
type Listener = (events: readonly LiveEvent[]) => void;

const KINDS = ["trace", "span", "score", "metric", "run", "experiment", "model", "prompt", "deleted", "gap"] as const;
const RETRY_MS = [500, 1_000, 2_000, 4_000, 8_000];

class LiveStream {
  #projectId: string | null = null;
  #source: EventSource | null = null;
  #status: LiveStatus = "off";
  #listeners = new Set<Listener>();
  #watchers = new Set<() => void>();
  #retries = 0;
  #timer = 0;
  #queue: LiveEvent[] = [];
  #frame = 0;
  #broken = false;

  constructor() {
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) this.#close("off");
      else if (this.#projectId !== null) {
        this.#broken = true;
        this.#connect();
      }
    });
  }

  /** Follow a project; null stops. */
  follow(projectId: string | null): void {
    if (projectId === this.#projectId) return;
    this.#close("off");
    this.#projectId = projectId;
    this.#retries = 0;
    this.#broken = false;
    if (projectId !== null && !document.hidden) this.#connect();
  }

  listen(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  watch = (watcher: () => void): (() => void) => {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  };

  status = (): LiveStatus => this.#status;

  #set(status: LiveStatus): void {
    if (status === this.#status) return;
    this.#status = status;
    for (const watcher of this.#watchers) watcher();
  }

  #close(status: LiveStatus): void {
    window.clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = null;
    this.#set(status);
  }

  #connect(): void {
    this.#close(this.#broken ? "reconnecting" : "connecting");
    const source = new EventSource(address("/projects/{project_id}/live", { project_id: this.#projectId ?? "" }));
    this.#source = source;
    source.onopen = () => {
      this.#retries = 0;
      this.#set("live");
      if (this.#broken) this.#emit({ kind: "gap", id: "" } as LiveEvent);
      this.#broken = false;
    };
    source.onerror = () => {
      this.#broken = true;
      this.#close("reconnecting");
      const wait = RETRY_MS[Math.min(this.#retries, RETRY_MS.length - 1)] ?? 8_000;
      this.#retries += 1;
      this.#timer = window.setTimeout(() => this.#connect(), wait);
    };
    for (const kind of KINDS) {
      source.addEventListener(kind, (event) => {
        try {
          this.#emit(JSON.parse((event as MessageEvent<string>).data) as LiveEvent);
        } catch {
          // One unreadable event must not end the stream.
        }
      });
    }
  }

  /** Events of one frame are handed out together, so that a burst costs one render. */
  #emit(event: LiveEvent): void {
    this.#queue.push(event);
    if (this.#frame !== 0) return;
    this.#frame = window.setTimeout(() => {
      this.#frame = 0;
      const events = this.#queue;
      this.#queue = [];
      for (const listener of this.#listeners) listener(events);
    }, 30);
  }
}

export const liveStream = new LiveStream();

export function useLiveStatus(): LiveStatus {
  return useSyncExternalStore(liveStream.watch, liveStream.status);
}

/** Call `handler` with what was committed in this project. The newest handler is used; it need not be stable. */
export function useLive(handler: (events: readonly LiveEvent[]) => void, enabled = true): void {
  const latest = useRef(handler);
  latest.current = handler;
  useEffect(() => (enabled ? liveStream.listen((events) => latest.current(events)) : undefined), [enabled]);
}
