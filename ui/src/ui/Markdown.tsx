import { type JSX, memo, type ReactNode } from "react";
import { type Block, type Inline, parseMarkdown } from "@/base/markdown";
import css from "./Markdown.module.css";

/** Longer texts are shown plainly: nobody reads their formatting, and parsing would hold up the page. */
const LIMIT = 60_000;

/** Text of models, with its formatting. Only React text nodes come out of it: HTML in the text stays text. */
export const Markdown = memo(function Markdown({ text }: { readonly text: string }) {
  if (text.length > LIMIT)
    return (
      <div className={css.md} style={{ whiteSpace: "pre-wrap" }}>
        {text}
      </div>
    );
  return <div className={css.md}>{parseMarkdown(text).map(block)}</div>;
});

function block(b: Block, key: number): ReactNode {
  switch (b.type) {
    case "paragraph":
      return <p key={key}>{b.children.map(inline)}</p>;
    case "heading": {
      const Tag = `h${Math.min(6, b.level + 1)}` as keyof JSX.IntrinsicElements;
      return <Tag key={key}>{b.children.map(inline)}</Tag>;
    }
    case "code":
      return (
        <pre key={key}>
          <code>{b.text}</code>
        </pre>
      );
    case "quote":
      return <blockquote key={key}>{b.children.map(block)}</blockquote>;
    case "list": {
      const items = b.items.map((item, i) => (
        <li key={i}>
          {item.length === 1 && item[0]?.type === "paragraph" ? item[0].children.map(inline) : item.map(block)}
        </li>
      ));
      return b.ordered ? (
        <ol key={key} start={b.start}>
          {items}
        </ol>
      ) : (
        <ul key={key}>{items}</ul>
      );
    }
    case "table":
      return (
        <table key={key}>
          <thead>
            <tr>
              {b.head.map((cell, i) => (
                <th key={i}>{cell.map(inline)}</th>
              ))}
            </tr>
          </thead>
          <tbody>
            {b.rows.map((row, i) => (
              <tr key={i}>
                {row.map((cell, j) => (
                  <td key={j}>{cell.map(inline)}</td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      );
    case "rule":
      return <hr key={key} />;
  }
}

function inline(i: Inline, key: number): ReactNode {
  switch (i.type) {
    case "text":
      return i.text;
    case "code":
      return <code key={key}>{i.text}</code>;
    case "strong":
      return <strong key={key}>{i.children.map(inline)}</strong>;
    case "em":
      return <em key={key}>{i.children.map(inline)}</em>;
    case "del":
      return <del key={key}>{i.children.map(inline)}</del>;
    case "link":
      return (
        <a key={key} href={i.href} target="_blank" rel="noopener noreferrer nofollow">
          {i.children.map(inline)}
        </a>
      );
  }
}
