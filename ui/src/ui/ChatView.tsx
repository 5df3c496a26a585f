import { FileText, Image as ImageIcon, Wrench } from "lucide-react";
import { memo, type ReactNode, useMemo, useState } from "react";
import { type Chat, type Message, type Part, readChat } from "@/base/chat";
import css from "./ChatView.module.css";
import { CopyButton } from "./Copy";
import { JsonTree } from "./JsonTree";
import { Markdown } from "./Markdown";
import { Segmented } from "./Segmented";

const HEAD = 3;
const TAIL = 5;
const LONG = 6_000;

export type IoMode = "read" | "json";

interface IoProps {
  readonly title: string;
  readonly side: "input" | "output";
  /** JSON text as stored; null when there is none. */
  readonly text: string | null;
  readonly mode: IoMode;
  readonly onMode: (mode: IoMode) => void;
}

/** The input or output of a span: a conversation where one can be found, readable text or a JSON tree otherwise. */
export const Io = memo(function Io({ title, side, text, mode, onMode }: IoProps) {
  const value = useMemo(() => parse(text), [text]);
  const chat = useMemo(() => (text === null ? null : readChat(value, side)), [text, value, side]);
  if (text === null) {
    return (
      <section className={css.section}>
        <div className={css.head}>
          <h3>{title}</h3>
        </div>
        <span className="muted">Not recorded</span>
      </section>
    );
  }
  return (
    <section className={css.section} aria-label={title}>
      <div className={css.head}>
        <h3>{title}</h3>
        <div className={css.tools}>
          <Segmented
            label={`${title}: view`}
            value={mode}
            options={[
              { value: "read", label: chat ? "Chat" : "Formatted" },
              { value: "json", label: "JSON" },
            ]}
            onChange={onMode}
          />
          <CopyButton
            text={() => (typeof value === "string" ? value : JSON.stringify(value, null, 2))}
            label={`Copy ${title.toLowerCase()}`}
          />
        </div>
      </div>
      <div className={css.card}>
        {mode === "json" ? (
          <pre className={css.raw}>{pretty(value)}</pre>
        ) : chat ? (
          <Conversation chat={chat} />
        ) : (
          <Value value={value} />
        )}
      </div>
    </section>
  );
});

function parse(text: string | null): unknown {
  if (text === null) return null;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function pretty(value: unknown): string {
  const text = typeof value === "string" ? value : JSON.stringify(value, null, 2);
  return text.length > 400_000
    ? `${text.slice(0, 400_000)}\n… ${(text.length - 400_000).toLocaleString("en-US")} more characters (copy to see all)`
    : text;
}

function Value({ value }: { readonly value: unknown }) {
  return (
    <div className={css.pad}>
      {typeof value === "string" ? (
        <LongText text={value} />
      ) : value === null || typeof value !== "object" ? (
        <code>{String(value)}</code>
      ) : (
        <JsonTree value={value} />
      )}
    </div>
  );
}

/** Messages in order. Long conversations show how they began and how they ended; the middle is one click away. */
function Conversation({ chat }: { readonly chat: Chat }) {
  const [whole, setWhole] = useState(chat.messages.length <= HEAD + TAIL + 2);
  const hidden = chat.messages.length - HEAD - TAIL;
  const names = useMemo(() => toolNames(chat.messages), [chat]);
  const show = (messages: readonly Message[], offset: number) =>
    messages.map((m, i) => <MessageView key={offset + i} message={m} names={names} />);
  return (
    <>
      {chat.tools.length > 0 ? (
        <details className={css.tool}>
          <summary className="muted">
            {chat.tools.length} {chat.tools.length === 1 ? "tool" : "tools"} offered:{" "}
            {chat.tools
              .map((t) => t.name)
              .join(", ")
              .slice(0, 120)}
          </summary>
          {chat.tools.map((t, i) => (
            <div key={i} className={css.tool}>
              <code>{t.name}</code> <span className="muted">{t.description}</span>
              {t.schema ? <JsonTree value={t.schema} open={1} /> : null}
            </div>
          ))}
        </details>
      ) : null}
      {whole ? (
        show(chat.messages, 0)
      ) : (
        <>
          {show(chat.messages.slice(0, HEAD), 0)}
          <button type="button" className={css.fold} onClick={() => setWhole(true)}>
            Show {hidden} messages in between
          </button>
          {show(chat.messages.slice(-TAIL), HEAD + hidden)}
        </>
      )}
      {chat.rest ? (
        <details className={css.tool}>
          <summary className="muted">Also recorded: {Object.keys(chat.rest).join(", ").slice(0, 120)}</summary>
          <JsonTree value={chat.rest} open={1} />
        </details>
      ) : null}
    </>
  );
}

function toolNames(messages: readonly Message[]): ReadonlyMap<string, string> {
  const out = new Map<string, string>();
  for (const m of messages) for (const p of m.parts) if (p.type === "tool_call" && p.id) out.set(p.id, p.name);
  return out;
}

function MessageView({ message, names }: { readonly message: Message; readonly names: ReadonlyMap<string, string> }) {
  return (
    <article className={css.message} data-role={message.role}>
      <div className={css.role} data-role={message.role}>
        {message.role}
        {message.name ? <span className="muted">{message.name}</span> : null}
      </div>
      <div className={css.parts}>
        {message.parts.map((part, i) => (
          <PartView key={i} part={part} names={names} />
        ))}
        {message.parts.length === 0 ? <span className="muted">Empty</span> : null}
      </div>
    </article>
  );
}

function PartView({ part, names }: { readonly part: Part; readonly names: ReadonlyMap<string, string> }): ReactNode {
  switch (part.type) {
    case "text":
      return <LongText text={part.text} />;
    case "reasoning":
      return (
        <details className={css.reasoning} open={part.text.length < 600}>
          <summary>Reasoning</summary>
          <LongText text={part.text} />
        </details>
      );
    case "tool_call":
      return (
        <div className={css.call}>
          <div className={css.callhead}>
            <Wrench size={13} aria-hidden="true" />
            <code>{part.name}</code>
            {part.id ? <span className="muted mono ellipsis">{part.id}</span> : null}
          </div>
          <div className={css.callbody}>
            {part.args === null ? (
              <span className="muted">No arguments</span>
            ) : typeof part.args === "object" ? (
              <JsonTree value={part.args} />
            ) : (
              <code>{String(part.args)}</code>
            )}
          </div>
        </div>
      );
    case "tool_result":
      return (
        <div className={css.call}>
          <div className={css.callhead}>
            <span className={part.error ? css.bad : undefined}>{part.error ? "Tool failed" : "Tool result"}</span>
            <code>{part.name ?? (part.id ? names.get(part.id) : null)}</code>
          </div>
          <div className={css.callbody}>
            {typeof part.result === "string" ? <LongText text={part.result} /> : <JsonTree value={part.result} />}
          </div>
        </div>
      );
    case "image":
      return <Picture src={part.src} />;
    case "audio":
      return (
        <div>
          {part.src?.startsWith("data:audio/") ? (
            // biome-ignore lint/a11y/useMediaCaption: the transcript stands below when there is one
            <audio controls src={part.src} />
          ) : (
            <Remote kind="audio" src={part.src} />
          )}
          {part.transcript ? <LongText text={part.transcript} /> : null}
        </div>
      );
    case "file":
      return <Remote kind={part.name} src={part.src} />;
    case "json":
      return <JsonTree value={part.value} />;
  }
}

/** Pictures inside the data are shown; pictures elsewhere on the net are not fetched, because that would tell their host. */
function Picture({ src }: { readonly src: string }) {
  if (/^data:image\/(png|jpe?g|gif|webp|avif|bmp);base64,/i.test(src))
    return <img className={css.image} src={src} alt="From the message" />;
  return <Remote kind="image" src={src} />;
}

function Remote({ kind, src }: { readonly kind: string; readonly src: string | null }) {
  const Icon = kind === "image" ? ImageIcon : FileText;
  const web = src !== null && /^https?:\/\//i.test(src);
  return (
    <span className={css.remote}>
      <Icon size={14} aria-hidden="true" />
      {web ? (
        <a href={src} target="_blank" rel="noopener noreferrer nofollow">
          {src.slice(0, 120)}
        </a>
      ) : (
        <span>
          {kind}
          {src ? <span className="muted"> {src.slice(0, 60)}…</span> : null}
        </span>
      )}
    </span>
  );
}

function LongText({ text }: { readonly text: string }) {
  const [whole, setWhole] = useState(text.length <= LONG);
  if (whole) return <Markdown text={text} />;
  return (
    <div>
      <Markdown text={`${text.slice(0, LONG)}…`} />
      <button type="button" className={css.more} onClick={() => setWhole(true)}>
        Show all {text.length.toLocaleString("en-US")} characters
      </button>
    </div>
  );
}
