import type { InputHTMLAttributes, Ref, SelectHTMLAttributes, TextareaHTMLAttributes } from "react";
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
