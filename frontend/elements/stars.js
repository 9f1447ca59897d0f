// Stars that can be given in halves, by mouse, touch or keyboard. Quasar's rating shows halves but
// cannot set them.
const KEYBOARD_PAUSE = 600; // ms after the last arrow key until the rating counts as given

export default {
  template: `
    <span class="stars" role="slider" tabindex="0" :style="{'--count': count, '--fill': shown / worth}"
      :class="{'stars-rated': value !== null || draft !== null, 'stars-hover': hover !== null}"
      :aria-label="label" aria-valuemin="0" :aria-valuemax="highest" :aria-valuenow="settled"
      :aria-valuetext="settled ? settled + ' of ' + highest + ' stars' : 'not rated'"
      @click="give(at($event))" @pointermove="preview" @pointerleave="hover = null"
      @keydown="key" @blur="flush">
      <span class="stars-empty" aria-hidden="true"></span>
      <span class="stars-full" aria-hidden="true"></span>
    </span>`,
  props: { value: Number, count: Number, lowest: Number, highest: Number, label: String },
  emits: ["rate"],
  data: () => ({ hover: null, draft: null, timer: null }),
  computed: {
    worth() { return this.highest / this.count; }, // of one whole star
    settled() { return this.draft ?? this.value ?? 0; },
    shown() { return this.hover ?? this.settled; },
  },
  watch: { value() { this.draft = null; } },
  beforeUnmount() { clearTimeout(this.timer); },
  methods: {
    clamp(value) { return Math.min(this.highest, Math.max(this.lowest, value)); },
    at(event) {
      const box = this.$el.getBoundingClientRect();
      const halves = Math.ceil(((event.clientX - box.left) / box.width) * this.count * 2);
      return this.clamp((halves / 2) * this.worth);
    },
    preview(event) { if (event.pointerType === "mouse") this.hover = this.at(event); },
    key(event) {
      const half = this.worth / 2;
      const now = this.settled;
      const to = {
        ArrowRight: now + half, ArrowUp: now + half, ArrowLeft: now - half, ArrowDown: now - half,
        Home: this.lowest, End: this.highest,
      }[event.key] ?? (/^[1-9]$/.test(event.key) ? Number(event.key) * this.worth : null);
      if (event.key === "Enter" || event.key === " ") { event.preventDefault(); this.flush(); }
      if (to === null) return;
      event.preventDefault();
      this.draft = this.clamp(to);
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.flush(), KEYBOARD_PAUSE);
    },
    flush() { if (this.timer !== null && this.draft !== null) this.give(this.draft); },
    give(value) {
      clearTimeout(this.timer);
      this.timer = null;
      this.hover = null;
      this.draft = value;
      if (value !== this.value) this.$emit("rate", value);
    },
    reset() { clearTimeout(this.timer); this.timer = null; this.draft = null; },
  },
};
