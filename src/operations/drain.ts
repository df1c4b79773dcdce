import { Injectable } from '@nestjs/common';

/** Whether this instance is about to stop: it still serves, but asks to be sent nothing more. */
@Injectable()
export class Drain {
  private begun = false;

  get isOn(): boolean {
    return this.begun;
  }

  begin(): void {
    this.begun = true;
  }
}
