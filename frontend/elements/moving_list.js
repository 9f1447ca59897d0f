// An ordered list whose entries glide to their new places, fade in and fade out (styles: .moving-*).
export default {
  template: `<TransitionGroup tag="ol" name="moving" class="moving-list"><slot></slot></TransitionGroup>`,
};
