import {
  cloneElement,
  type InputHTMLAttributes,
  type ReactElement,
  type ReactNode,
  type Ref,
  type SelectHTMLAttributes,
  type TextareaHTMLAttributes,
  useId,
} from "react";
import { cx } from "./cx";
import css from "./Field.module.css";

type InputProps = InputHTMLAttributes<HTMLInputElement> & { readonly ref?: Ref<HTMLInputElement> };
type AreaProps = TextareaHTMLAttributes<HTMLTextAreaElement> & { readonly ref?: Ref<HTMLTextAreaElement> };

export function Input({ className, ...rest }: InputProps) {
  return <input {...rest} className={cx(css.input, className)} />;
}

export function TextArea({ className, ...rest }: AreaProps) {
  return <textarea {...rest} className={cx(css.input, className)} />;
}

export function Select({ className, ...rest }: SelectHTMLAttributes<HTMLSelectElement>) {
  return <select {...rest} className={cx(css.input, className)} />;
}

interface FieldProps {
  readonly label: string;
  /** What is wrong with the value, shown below it and read out with it. */
  readonly error?: string | null | undefined;
  readonly hint?: ReactNode;
  /** Takes the space that is left in its row. */
  readonly grow?: boolean;
  /** One control. It is given the id that the label names. */
  readonly children: ReactElement<{ id?: string; "aria-invalid"?: boolean; "aria-describedby"?: string }>;
}

/** A control with its label above and what is to say about its value below. */
export function Field({ label, error, hint, grow, children }: FieldProps) {
  const id = useId();
  const note = error || hint ? `${id}-note` : undefined;
  return (
    <div className={cx(css.field, grow && css.grow)}>
      <label htmlFor={id}>{label}</label>
      {cloneElement(children, {
        id,
        ...(error ? { "aria-invalid": true } : {}),
        ...(note ? { "aria-describedby": note } : {}),
      })}
      {error ? (
        <span className={css.error} id={note} role="alert">
          {error}
        </span>
      ) : hint ? (
        <span className={css.hint} id={note}>
          {hint}
        </span>
      ) : null}
    </div>
  );
}

/** What is wrong with a form as a whole. */
export function FormError({ text }: { readonly text: string | undefined }) {
  return text ? (
    <p className={cx(css.error, css.whole)} role="alert">
      {text}
    </p>
  ) : null;
}
