import { Modal } from "@mantine/core";
import type { ReactNode } from "react";
import { Button } from "./Button";
import css from "./Field.module.css";

interface FormDialogProps {
  readonly title: string;
  readonly onClose: () => void;
  readonly onSubmit: () => void;
  /** What the button does, in one word. */
  readonly verb: string;
  readonly ready?: boolean;
  readonly pending?: boolean;
  /** What the server said against it. */
  readonly error?: Error | null;
  readonly size?: "sm" | "md" | "lg" | "xl";
  readonly children: ReactNode;
}

/** A form over the page: fields, what went wrong, Cancel and one verb. */
export function FormDialog(props: FormDialogProps) {
  const { title, onClose, onSubmit, verb, ready = true, pending = false, error, size = "md", children } = props;
  return (
    <Modal opened onClose={onClose} title={title} size={size}>
      <form
        className={css.form}
        onSubmit={(event) => {
          event.preventDefault();
          event.stopPropagation();
          onSubmit();
        }}
      >
        {children}
        <div className={css.actions}>
          {error ? (
            <span className={css.error} role="alert">
              {error.message}
            </span>
          ) : null}
          <Button onClick={onClose}>Cancel</Button>
          <Button look="primary" type="submit" disabled={pending || !ready}>
            {verb}
          </Button>
        </div>
      </form>
    </Modal>
  );
}
